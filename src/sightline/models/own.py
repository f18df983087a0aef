"""Networks of the user's own: any `nn.Module` that maps images to scores, named `package.module:Name` or passed as an object.

    sightline train photos/ -m nets:MyNet
    sightline.train("photos/", model=MyNet)                        a class or a function that builds the network
    sightline.train("photos/", model=torchvision.models.resnet18(num_classes=2))

Code is imported only when the user names it in this process. A run or a recipe may come from anywhere, so the name that
it holds imports nothing; a class that is already imported is used, as its code has run already.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from sightline.errors import UsageError

Builder = Callable[..., nn.Module]
MARK = ":"  # in the name of every network of the user's own
OBJECT = "object"  # the module of networks passed as objects, which no name can build again
_KNOWN: dict[str, Builder] = {}  # by name, as named or passed in this process
_CLASSES = ("num_classes", "n_classes", "classes", "num_labels")
_CHANNELS = ("in_channels", "in_chans", "channels", "in_ch")
_USUAL_INPUT = (3, 224, 224)


class Code(NamedTuple):
    """Where a network's code is: the name of its file, and a hash of the file's content."""

    file: str
    sha256: str


def is_own(name: str) -> bool:
    """Whether a name is that of a network of the user's own, `module:Name`."""
    return MARK in name


def name_of(model: str | nn.Module | Builder) -> str:
    """The name of a network that the user names or passes, under which this process knows it from now on. UsageError if it
    cannot be imported, or is no network and builds none."""
    if isinstance(model, str):
        if is_own(model):
            _KNOWN[model] = _imported(model)
        return model
    if isinstance(model, nn.Module):
        kind = type(model)
        name = f"{OBJECT}{MARK}{kind.__module__}.{kind.__qualname__}"
        start = copy.deepcopy(model)
        _KNOWN[name] = lambda: copy.deepcopy(start)
        return name
    if not callable(model):
        raise UsageError(f"model={model!r} is no network", "pass a name, an nn.Module, or what builds one")
    name = f"{model.__module__}{MARK}{model.__qualname__}"
    _KNOWN[name] = model
    return name


def builder(name: str) -> Builder:
    """A function that builds the network from `num_classes`, `in_channels` and its own options. UsageError where this process
    has not been told to use that code."""
    known = _KNOWN.get(name) or _loaded_class(name)
    if known is None:
        module, _, what = name.partition(MARK)
        if module == OBJECT:
            raise UsageError(
                f"the network is an object of {what}, which its user has to pass", "pass model=the network"
            )
        raise UsageError(
            f"the network {name} is code outside sightline, which is only imported when you name it",
            f"name it where it can be imported: -m {name}, or model={what} in Python",
        )
    return _Own(name, known)


def import_named(name: str) -> Any:
    """What `package.module:attribute` names, also in the current folder. UsageError if it cannot be imported."""
    module, _, attribute = name.partition(MARK)
    if str(Path.cwd()) not in sys.path:  # a console script does not look in the current folder
        sys.path.insert(0, str(Path.cwd()))
    try:
        value: Any = importlib.import_module(module)
        for part in attribute.split("."):
            value = getattr(value, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"cannot import {name}: {error}", "start where it can be imported, or set PYTHONPATH"
        ) from error
    return value


def _imported(name: str) -> Builder:
    value = import_named(name)
    if isinstance(value, nn.Module):
        return lambda: copy.deepcopy(value)
    if not callable(value):
        raise UsageError(f"{name} is a {type(value).__name__}, no network", "name an nn.Module or what builds one")
    return value


def _loaded_class(name: str) -> Builder | None:
    module, _, attribute = name.partition(MARK)
    value = getattr(sys.modules.get(module), attribute, None)
    return value if inspect.isclass(value) and issubclass(value, nn.Module) else None


class _Own:
    """The builder, under the arguments that networks here have."""

    def __init__(self, name: str, make: Builder) -> None:
        self.__name__, self.__module__, self.make = name, getattr(make, "__module__", __name__), make
        signature = inspect.signature(make)
        self._named = {p.name for p in signature.parameters.values() if p.kind is not p.VAR_POSITIONAL}
        self._open = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())

    def __call__(self, *, num_classes: int | None = None, in_channels: int | None = None, **options: Any) -> nn.Module:
        given = {self._spelling(_CLASSES): num_classes, self._spelling(_CHANNELS): in_channels}
        own = {key: value for key, value in given.items() if key and value is not None}
        try:
            network = self.make(**own, **options)
        except TypeError as error:
            raise UsageError(
                f"{self.__name__} cannot be built: {error}", "set its arguments by model.options"
            ) from error
        if not isinstance(network, nn.Module):
            raise UsageError(f"{self.__name__} returns a {type(network).__name__}, no nn.Module", "return the network")
        if not hasattr(network, "input_size"):
            network.input_size = (in_channels or _USUAL_INPUT[0], *_USUAL_INPUT[1:])  # type: ignore[assignment]
        return network

    def _spelling(self, names: tuple[str, ...]) -> str | None:
        """How the builder spells an argument; None if it has none."""
        return next((name for name in names if name in self._named), names[0] if self._open else None)

    def takes(self, key: str) -> bool:
        """Whether an option of that name can be set."""
        return key in self._named or self._open


def require_scores(name: str, network: nn.Module, shape: tuple[int, int, int], classes: int, *, pixels: bool) -> None:
    """UsageError unless the network maps images of that shape to one score a class, of each image or of each pixel."""
    expected = (2, classes, *shape[1:]) if pixels else (2, classes)
    training = network.training
    try:
        with torch.no_grad():
            scores = network.eval()(torch.zeros(2, *shape))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"{name} does not take images of {'x'.join(map(str, shape))}: {first}",
            "set input.size and input.channels to what it takes",
        ) from error
    finally:
        network.train(training)
    found = tuple(scores.shape) if isinstance(scores, torch.Tensor) else type(scores).__name__
    if found != expected:
        raise UsageError(
            f"{name} maps {(2, *shape)} to {found}; the data need {expected}: one score for each of {classes} classes",
            "let it take num_classes, or build it for this number of classes",
        )


def code_of(name: str) -> Code | None:
    """The file that defines the network's code; None where it has none."""
    make = _KNOWN.get(name) or _loaded_class(name)
    try:
        path = Path(inspect.getfile(inspect.unwrap(make))) if make is not None else None  # type: ignore[arg-type]
    except TypeError:
        path = None
    if path is None or not path.is_file():
        return None
    return Code(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
