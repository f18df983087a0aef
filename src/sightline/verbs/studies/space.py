"""What a search tries: `optim.lr=1e-4..1e-1:log fit.batch=16,32,64` → spans and choices of recipe keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.errors import UsageError
from sightline.recipes.reading import parse_overrides, parse_yaml
from sightline.recipes.recipe import Draft, Recipe
from sightline.storage.schema import brief

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_SPAN = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(\w*))?")
_FIXED = ("seed", "data", "track", "task.kind", "fit.device", "fit.epochs", "fit.monitor")  # the same in every trial
DIGITS = 4  # of a number that was drawn: more of them mean nothing, and a recipe is read by people
DECADE = 10.0  # the default rate is searched from a tenth to ten times of what the rules give
DECAY = (1e-6, 1e-2)


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    options: tuple[Any, ...]

    def stored(self, value: Any) -> Any:
        return json.loads(value)

    def ends(self) -> tuple[Any, ...]:
        return self.options

    def text(self) -> str:
        return ",".join(one if isinstance(one, str) else json.dumps(one) for one in self.options)


@dataclass(frozen=True)
class Span:
    """A number from `low` to `high`, both included; with `log` every factor is as likely."""

    low: float
    high: float
    log: bool
    whole: bool

    def stored(self, value: Any) -> Any:
        return int(value) if self.whole else min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def ends(self) -> tuple[Any, ...]:
        return self.stored(self.low), self.stored(self.high)

    def text(self) -> str:
        return f"{self.low:g}..{self.high:g}{':log' if self.log else ''}"


Values = Choices | Span


def parse_space(overrides: str | Sequence[str] | Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Values]]:
    """Recipe keys → (those with one value, those to search). In Python a search is written as on the command line,
    `"1e-4..1e-1:log"`, or as a list of choices. UsageError for a span that is none, or a key that every trial must share."""
    if isinstance(overrides, str):
        overrides = [overrides]
    if not isinstance(overrides, Mapping):
        fixed, space = _of_words(overrides)
    else:
        fixed, space = {}, {}
        for key, value in overrides.items():
            found = _values(key, value) if isinstance(value, str) else None
            if isinstance(value, list) and len(value) > 1:
                found = Choices(tuple(value))
            if found is None:
                fixed[key] = value
            else:
                space[key] = found
    for key in space:
        if key in _FIXED or key.partition(".")[0] in ("data", "track"):
            raise UsageError(f"{key} cannot be searched: every trial has the same", "give it one value")
    return fixed, space


def _of_words(words: Sequence[str]) -> tuple[dict[str, Any], dict[str, Values]]:
    space: dict[str, Values] = {}
    plain = []
    for word in words:
        key, equals, text = word.partition("=")
        found = _values(key, text) if equals else None
        if found is None:
            plain.append(word)
        elif key in space:
            raise UsageError(f"{key} is set twice", "set it once")
        else:
            space[key] = found
    fixed = parse_overrides(plain)
    if twice := [key for key in space if key in fixed]:
        raise UsageError(f"{twice[0]} has a value and is searched", "set it once")
    return fixed, space


def _values(key: str, text: str) -> Values | None:
    """The span or the choices; None for a single value."""
    if match := _SPAN.fullmatch(text.strip()):
        return _span(key, text, match)
    if "," not in text:
        return None
    options = parse_yaml(f"[{text}]", f"value of {key}")
    if not isinstance(options, list) or len(options) < 2:
        return None
    distinct = tuple({json.dumps(one): one for one in options}.values())
    return Choices(distinct) if len(distinct) > 1 else None


def _span(key: str, text: str, match: re.Match[str]) -> Span:
    low, high, scale = float(match[1]), float(match[2]), match[3]
    hint = f"write for example {key}=0.001..0.1:log"
    if scale not in (None, "log"):
        raise UsageError(f"{key}={brief(text)}: the scale of a span is log or absent", hint)
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise UsageError(f"{key}={brief(text)}: the first number must be smaller than the second", hint)
    if scale == "log" and low <= 0:
        raise UsageError(f"{key}={brief(text)}: a logarithmic span begins above 0", hint)
    return Span(low, high, scale == "log", all(re.fullmatch(r"[-+]?\d+", part) for part in match.group(1, 2)))


def default_space(given: Draft, usual: Recipe) -> dict[str, Values]:
    """The keys that the user leaves open and that matter most: the learning rate around its default, weight decay, batch size,
    augmentation."""
    rate, batch = usual.optim.lr, usual.fit.batch
    space: dict[str, Values] = {}
    if given.optim.lr is None:
        space["optim.lr"] = Span(_short(rate / DECADE), _short(rate * DECADE), True, False)
    if given.optim.weight_decay is None:
        space["optim.weight_decay"] = Span(*DECAY, True, False)
    if given.fit.batch is None and batch > 1 and usual.fit.accumulate == 1:
        space["fit.batch"] = Choices(tuple(dict.fromkeys((max(batch // 2, 1), batch, batch * 2))))
    if given.augment.preset is None:
        presets = tuple(dict.fromkeys(("none", "light", usual.augment.preset)))
        space["augment.preset"] = Choices(presets)
    if not space:
        raise UsageError(
            "there is nothing to search: every usual key has a value", "give one a span: optim.lr=1e-4..1e-1:log"
        )
    return space


def _short(value: float) -> float:
    return float(f"{value:.2g}")


def space_text(space: Mapping[str, Values]) -> dict[str, str]:
    """As it is written on the command line."""
    return {key: values.text() for key, values in space.items()}
