"""The Python surface of layers, losses, metrics and models: exported, documented, and imported only when used."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import sightline
from sightline.models import MODELS
from sightline.models.catalogue import SOLVED
from sightline.models.create import outline

torch.set_num_threads(1)
ROOMS = ("layers", "losses", "metrics", "models")
PACKAGE = Path(sightline.__file__).parent


def classes_functions_registries(room: ModuleType, name: str) -> tuple[int, str]:
    """The order of `__all__`: what readers look for first."""
    isclass = inspect.isclass(getattr(room, name))
    return (0 if isclass else 2 if name.isupper() else 1), name


@pytest.mark.parametrize("room", ROOMS)
def test_exported_names(room: str) -> None:
    package = importlib.import_module(f"sightline.{room}")
    assert getattr(sightline, room) is package
    assert package.__all__ == sorted(set(package.__all__), key=lambda name: classes_functions_registries(package, name))
    for name in package.__all__:
        value = getattr(package, name)
        if callable(value) or inspect.ismodule(value):
            assert inspect.getdoc(value), f"{room}.{name}"


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_has_a_docstring(room: str) -> None:
    """Methods too, apart from dunders."""
    bare = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        tree = ast.parse(path.read_text())
        bare += [] if ast.get_docstring(tree) else [str(path)]
        for node in tree.body:
            bare += [f"{path.name}: {name}" for name in without_docstring(node)]
    assert not bare


def without_docstring(node: ast.AST, prefix: str = "") -> list[str]:
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return []
    name = f"{prefix}{node.name}"
    inside = (
        [n for each in node.body for n in without_docstring(each, f"{name}.")] if isinstance(node, ast.ClassDef) else []
    )
    return inside if ast.get_docstring(node) else [name, *inside]


def test_the_parameters_that_a_docstring_claims() -> None:
    for name in sorted(set(MODELS) - set(MODELS.matching(heading=SOLVED))):  # what those learn is no parameter
        text = inspect.getdoc(MODELS[name]) or ""
        claim = re.search(r"([\d.,]+)( M)? parameters at \((\d+), (\d+), (\d+)\)", text)
        assert claim, name
        network = outline(name)
        parameters = sum(p.numel() for p in network.parameters())
        written = f"{parameters / 1e6:.1f}" if claim[2] else f"{parameters:,}"
        assert (claim[1], *map(int, claim.groups()[2:])) == (written, *network.input_size), name


def test_packages_load_on_first_use() -> None:
    code = (
        "import sys, sightline; print('torch' in sys.modules);"
        "print(sightline.layers.activation('relu'), sightline.losses.focal.__name__);"
        "print(sightline.metrics.auc([0, 1], [0.1, 0.2]), 'sklearn' in sys.modules);"
        "print(sightline.models.create_model('lenet5').channels, sightline.models.describe('lenet5')['parameters'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "ReLU() focal", "1.0 False", "(6, 16, 120, 84) 61706"]
    assert set(ROOMS) <= set(dir(sightline))
