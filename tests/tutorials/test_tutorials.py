"""Every tutorial runs from top to bottom: its commands and its Python, in their order, in one folder, with their assertions."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.asking import called

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("*.md"))
STEP = re.compile(
    r"^```python\n(?P<python>[\s\S]*?)^```|^    (?P<command>sightline [^\n]*?)(?: +#[^\n]*)?$", re.MULTILINE
)


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: dict[str, object] = {"__name__": page.stem}
    steps = list(STEP.finditer(page.read_text(encoding="utf-8")))
    try:
        for step in steps:
            if step["python"]:
                exec(compile(step["python"], str(page), "exec"), names)
            else:
                code, _, stderr = called(*shlex.split(step["command"])[1:])
                assert code == 0, (step["command"], stderr)
    finally:
        sys.modules.pop("nets", None)
    assert len(steps) >= 1


def test_the_four_laboratories_are_there() -> None:
    assert {page.stem for page in TUTORIALS} >= {
        "softmax-classifier",
        "convolutional-network",
        "segmentation",
        "evaluation",
    }
    for page in TUTORIALS:
        text = page.read_text(encoding="utf-8")
        assert STEP.search(text), page.name
        assert re.search(r"\d{4}[,).]", text), f"{page.name} names no source"
