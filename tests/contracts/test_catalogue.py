"""The catalogue that `sightline models` lists without building anything says what the networks are."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from sightline.errors import UsageError
from sightline.models import MODELS, describe
from sightline.recipes.names import catalogue, network_names, require_match, require_network, require_what
from sightline.verbs.models import models, row_of

# of every heading and of most families, the quick ones to describe
SAMPLE = ("lenet5", "alexnet", "googlenet", "resnet18", "densenet121", "mobilenet_v2", "vit_tiny", "unet")


def test_it_has_every_network_as_it_is_built() -> None:
    assert list(catalogue()) == list(MODELS), "run `make catalogue`"
    for name, row in catalogue().items():
        assert {**row, "multiply_adds": None} == row_of(name), f"{name}: run `make catalogue`"


@pytest.mark.parametrize("name", [name for name in SAMPLE if name in MODELS])
def test_multiply_adds_of_some(name: str) -> None:
    assert catalogue()[name]["multiply_adds"] == multiply_adds(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODELS))
def test_multiply_adds_of_all(name: str) -> None:
    assert catalogue()[name]["multiply_adds"] == multiply_adds(name)


def multiply_adds(name: str) -> int:
    costs: dict[str, Any] = describe(name)
    total: int = costs["multiply_adds"] + costs["attention_multiply_adds"]
    return total


def test_networks_of_ones_own_are_listed_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._functions, "my_lenet", MODELS["lenet5"])
    monkeypatch.setitem(MODELS._heading, "my_lenet", "class scores")
    assert "my_lenet" in network_names()
    (row,) = models("my_*")["models"]
    assert (row["parameters"], row["multiply_adds"]) == (61_706, None)


@pytest.mark.parametrize("words", ["models", "models resent*", "describe lenet55", "data mnsit", "train mnsit"])
def test_names_are_answered_without_torch(words: str) -> None:
    """A list, or an error with its hint, waits for none of the seconds that torch takes to import."""
    code = f"""
import sys
from sightline.cli.main import run
sys.argv = ["sightline", *{words.split()!r}]
try:
    run()
except SystemExit as error:
    print(error.code, sorted(m for m in ("torch", "numpy", "pyarrow", "PIL") if m in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ("0 []" if words == "models" else "2 []")
    assert ("did you mean 'resnet*'" in done.stderr) == (words == "models resent*")


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match="no model matches"):
        require_match("nothing*")
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        require_network("ResNet18")
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        require_what("mnsit")
    require_what("./folder")
    require_what("table.csv")
