"""The house stands as it is drawn: rooms import downwards, files stay small, names say what they hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "sightline"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 300
LONGER: dict[str, str] = {}  # path → why it may be longer
VAGUE = {"utils", "util", "misc", "helpers", "common", "core", "base"}


def test_rooms_import_only_rooms_below_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "0 broken" in done.stdout


def test_every_room_says_what_it_is() -> None:
    rooms = [p.parent for p in PACKAGE.glob("*/__init__.py")]
    assert len(rooms) >= 15
    for room in rooms:
        assert (room / "__init__.py").read_text().startswith('"""'), room


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_short_documented_and_well_named(path: Path) -> None:
    text = path.read_text()
    name = str(path.relative_to(PACKAGE))
    assert len(text.splitlines()) <= LONGEST or name in LONGER, (
        f"{name}: split it by idea, or name the reason in LONGER"
    )
    assert text.startswith('"""'), f"{name} does not say what it is"
    assert path.stem not in VAGUE, f"{name} says nothing"
    assert not {p.lower() for p in path.relative_to(PACKAGE).parts[:-1]} & VAGUE


def test_functions_keep_to_their_budgets() -> None:
    """Statements, complexity and parameters: ruff holds them, with the limits of pyproject.toml."""
    rules = "C901,PLR0913,PLR0915"
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", rules, "src"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_code_is_formatted_and_lint_free() -> None:
    for command in (["check", "--no-cache", "."], ["format", "--no-cache", "--check", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:]


def test_the_types_hold() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
