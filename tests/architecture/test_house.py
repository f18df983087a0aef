"""The house stands as it is drawn: rooms import downwards, files stay small, names say what they hold."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from sightline.kinds import KINDS

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


def test_only_kinds_and_tasks_know_which_kinds_there_are() -> None:
    """No other file compares with a kind's name, or branches on it: a new kind touches none of them.

    `segmentation` is also a key of COCO's files, a tag of VOC's and a folder's name, `instances` how COCO's files begin,
    `localisation` a mistake of detectors, `embedding` that of positions,
    `translation` a column of texts, and `reading` how a heat map is to be read."""
    names = {kind.name for kind in KINDS.values()}
    foreign = {
        ("data/formats/annotated/cocoentries.py", "segmentation"),
        ("data/formats/annotated/vocpages.py", "segmentation"),
        ("data/formats/annotated/cocoentries.py", "attributes"),  # of an object of such a file
        ("data/formats/annotated/vocpages.py", "attributes"),
        ("data/formats/annotated/coco.py", "instances"),
        ("data/formats/recognition/boxes.py", "segmentation"),
        ("data/formats/recognition/vocabulary.py", "segmentation"),
        ("data/writing/coco.py", "segmentation"),
        ("inference/prediction.py", "segmentation"),
        ("metrics/detection.py", "segmentation"),
        ("evaluation/boxes/errors.py", "localisation"),
        ("evaluation/boxes/gains.py", "localisation"),
        ("reports/rules/dense.py", "localisation"),
        ("lab/experiments/vision/position_embeddings.py", "embedding"),
        ("verbs/inspection/units.py", "embedding"),
        ("data/formats/texts/sentences.py", "translation"),
        ("reports/explanation/page.py", "reading"),
        ("reports/features/page.py", "reading"),
    }
    found = set()
    for path in FILES:
        where = path.relative_to(PACKAGE).as_posix()
        if where.startswith(("kinds/", "tasks/")):
            continue
        tree = ast.parse(path.read_text())
        found |= {(where, n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value in names}
    assert found == foreign


def test_no_room_has_more_than_fifteen_files() -> None:
    for room in [PACKAGE, *(p for p in PACKAGE.rglob("*") if p.is_dir() and p.name != "__pycache__")]:
        files = [p.name for p in room.glob("*.py") if p.name != "__init__.py"]
        assert len(files) <= 15, f"{room.relative_to(PACKAGE)} has {len(files)} files: make rooms by idea"


def test_files_do_not_import_each_other_in_circles() -> None:
    """Imports within functions and those for type checking alone count too: they run at other times, or never, but a reader
    who follows them goes round all the same."""
    modules = {module_of(path): path for path in FILES}
    arrows = {name: imports_of(path, modules) for name, path in modules.items()}
    order = TopologicalSorter(arrows)
    order.prepare()  # raises CycleError naming the files


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, modules: dict[str, Path]) -> set[str]:
    """Modules of the package that a file names in an import. Importing a package for its own submodules is no arrow."""
    here = module_of(path)
    package = here if path.name == "__init__.py" else here.rpartition(".")[0]
    tree, found = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *filter(None, [node.module])])
            names = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name for name in names if name in modules} or {base}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in modules and name != here}
