"""Every command and every Python snippet of the documentation: it parses, its keys, names and arguments exist. Quick ones
run here, the others in tests/tutorials (`make tutorials`)."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import numpy as np
import pytest
import torch
import typer
from torch import nn

import sightline
import sightline.kinds.catalogue  # the keys of every kind of task
from sightline.cli.main import app
from sightline.lab.catalogue import find, load
from sightline.recipes.reading import all_keys
from tests.asking import called

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
QUICK = {"lab": "lab.md", "lab playground": "lab.md"}  # they run here


def commands_of(page: Path) -> Iterator[str]:
    """Indented or fenced lines that begin with sightline, and whole commands between backticks; without comments."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^(?:    )?(sightline [a-z].*?)(?: +#.*)?$", text, re.MULTILINE)
    prose = re.findall(
        r"`(sightline [a-z][^`…]*)`", re.sub(r"^(```.*?^```|    .*?$)", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    for line in [*lines, *(" ".join(found.split()) for found in prose)]:
        if "[" not in line and line != "sightline predict --json":  # without RUN it names the option
            yield line


def python_of(page: Path) -> Iterator[str]:
    """Fenced blocks of Python, and indented lines that call sightline."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    yield from re.findall(r"^    (sightline\..*)$", text, re.MULTILINE)
    yield from (found for found in re.findall(r"`(sightline\.\w+\([^`]*\))`", text) if "…" not in found)


COMMANDS = sorted({(page.name, line) for page in PAGES for line in commands_of(page)})
SNIPPETS = [(page.name, code) for page in PAGES for code in python_of(page)]


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=lambda value: str(value)[:70])
def test_a_command_exists(page: str, line: str) -> None:
    """Verb, options and their values parse; keys are those of a recipe, or of the experiment."""
    words = shlex.split(line)[1:]
    command: click.Command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    if not words:
        return  # the verb alone is its name
    context = command.make_context(str(command.name), list(words), resilient_parsing=False)
    given = {pair.split("=")[0] for pair in context.params.get("overrides") or ()}
    given = {key for key in given if not key.startswith("model.options.")}  # arguments of the network
    if command.name != "lab":
        assert given <= set(all_keys()), line
    elif context.params["name"] not in (None, "NAME", "all", "playground"):
        assert given <= {field.name for field in fields(load(find(context.params["name"])).parameters)}, line


@pytest.mark.parametrize(("page", "code"), SNIPPETS, ids=lambda value: str(value)[:40])
def test_the_names_of_a_snippet_exist(page: str, code: str) -> None:
    """What is imported from sightline is there; what is called as `sightline.name(…)` takes these arguments."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sightline"):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module} has no {name.name}"
        if isinstance(node, ast.Call) and re.fullmatch(r"sightline\.\w+", ast.unparse(node.func)):
            function = getattr(sightline, ast.unparse(node.func).split(".")[1])
            keywords = {word.arg: None for word in node.keywords if word.arg}
            inspect.signature(function).bind(*node.args, **keywords)


@pytest.mark.parametrize("line", QUICK)
def test_a_quick_command_runs(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (QUICK[line], f"sightline {line}") in COMMANDS
    monkeypatch.chdir(tmp_path)
    assert called(*line.split())[0] == 0


def block(page: str, word: str) -> str:
    """The block of Python on that page with that word."""
    return next(code for name, code in SNIPPETS if name == page and word in code)


def small() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    return nn.Sequential(*layers).eval()


def test_the_functions_on_any_network_run(capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks of the pages about attacks and explanations that take a network of one's own."""
    network, random = small(), np.random.default_rng(0)
    images = torch.tensor(random.integers(0, 256, (4, 3, 16, 16), dtype=np.uint8))
    common = {"network": network, "torch": torch, "labels": torch.tensor([0, 1, 0, 1])}
    attack: dict[str, object] = common | {"images": images.float(), "mean": 0.5, "std": 0.25}
    exec(block("attack.md", "pgd(").replace("steps=20", "steps=2"), attack)
    changed = (attack["adversarial"] - attack["images"]).abs().max()  # type: ignore[operator]
    assert 0 < changed <= 8 + 1e-4
    heat: dict[str, object] = common | {"pixels": images.float(), "target": torch.tensor([0, 1, 0, 1])}
    exec(block("explain.md", "grad_cam("), heat)
    assert heat["heat"].shape[0] == 4  # type: ignore[attr-defined]
    capsys.readouterr()
    exec(block("explain.md", "top_patches("), common | {"images": images})
    assert len(capsys.readouterr().out.splitlines()) >= 4


def test_every_kind_of_snippet_was_found() -> None:
    """The patterns above see the pages: without matches the tests would pass for nothing."""
    assert len(COMMANDS) > 60
    assert len(SNIPPETS) > 15
    assert {"README.md", "python.md", "attack.md", "explain.md", "compare.md", "label-errors.md", "fine-tuning.md"} <= {
        p for p, _ in SNIPPETS
    }
    assert json.dumps(COMMANDS).count("sightline hub") >= 2
