"""Networks for texts by name. They need a vocabulary, which is learned after the recipe is complete, so they have a catalogue
of their own instead of a place among those for images."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from sightline.errors import UsageError, nearest
from sightline.randomness.keyed import torch_seeded

from .bert import BagOfWords, Bert
from .captioner import Captioner
from .clip import Clip
from .gpt import Gpt
from .reader import Reader
from .recurrent import Recurrent
from .transformer import Transformer

CAPTIONERS: Mapping[str, Callable[..., nn.Module]] = {"captioner": Captioner}
CLIPS: Mapping[str, Callable[..., nn.Module]] = {"clip": Clip}
READERS: Mapping[str, Callable[..., nn.Module]] = {"reader": Reader}
CLASSIFIERS: Mapping[str, Callable[..., nn.Module]] = {"bert": Bert, "bag_of_words": BagOfWords}
MODELS_OF_TEXTS: Mapping[str, Callable[..., nn.Module]] = {"bert": Bert, "gpt": Gpt}
WRITERS: Mapping[str, Callable[..., nn.Module]] = {"transformer": Transformer, "recurrent": Recurrent}


def build_text_network(
    name: str, known: Mapping[str, Callable[..., nn.Module]], *arguments: Any, seed: int, options: Mapping[str, Any]
) -> nn.Module:
    """The network of that name, with weights drawn from the seed. UsageError for another name or option."""
    if name not in known:
        raise UsageError(f"unknown network {name!r}", f"{nearest(name, known)} This kind has {', '.join(known)}")
    parameters = inspect.signature(known[name]).parameters.values()
    allowed = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    if unknown := [key for key in options if key not in allowed]:
        raise UsageError(f"{name} has no option {unknown[0]!r}", f"it has {', '.join(allowed)}")
    typed = {key: _typed(name, key, value, allowed[key]) for key, value in options.items()}
    with torch_seeded(seed, "initialise"):
        return known[name](*arguments, **typed)


def _typed(name: str, key: str, value: Any, default: Any) -> Any:
    """The value as its default is: a whole number where a fraction is meant is one."""
    value = float(value) if isinstance(default, float) and type(value) is int else value
    if type(value) is not type(default):
        raise UsageError(f"{name} takes no {value!r} as {key}", f"its default is {default!r}")
    return value
