"""docs/reference.md: every name of `sightline.layers`, `losses`, `metrics` and `models` by the first line of its docstring.

make reference
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import sightline

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
ROOMS = {
    "layers": "What networks are built from, and `Module`s and functions to build your own.",
    "losses": "What training descends: functions of a network's output and the truth.",
    "metrics": "What predictions are measured by: functions of arrays.",
    "models": "Networks by name, their weights and descriptions; the names themselves are in [networks.md](networks.md).",
}


def reference() -> str:
    """The whole page."""
    head = (
        "# Reference\n\nThe public names of four rooms, as `from sightline.layers import …` finds them. "
        "`help(name)` has shapes, units, errors and sources; `make docs` makes pages of them. "
        "Written by `make reference` from the docstrings.\n"
    )
    return head + "".join(_section(room, about) for room, about in ROOMS.items())


def _section(room: str, about: str) -> str:
    module = getattr(sightline, room)
    rows = [f"| `{name}` | {_first(getattr(module, name), name)} |" for name in sorted(module.__all__, key=str.lower)]
    return f"\n## `sightline.{room}`\n\n{about}\n\n| name | what it is |\n|---|---|\n" + "\n".join(rows) + "\n"


def _first(thing: Any, name: str) -> str:
    """The first sentence of its docstring, in one line."""
    own = inspect.isclass(thing) or callable(thing) or inspect.ismodule(thing)
    text = inspect.getdoc(thing) if own else ""
    if not text:
        return _value(thing)
    paragraph = " ".join(text.split("\n\n")[0].split())
    sentence = re.split(r"(?<=[a-z0-9)`\]])\.(?=\s+[A-Z])", paragraph)[0].rstrip(".")
    return sentence.replace("|", "\\|")


def _value(thing: Any) -> str:
    return f"{type(thing).__name__}" + (f" of {len(thing)}" if hasattr(thing, "__len__") else "")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
