"""Which experiments there are: the files under `experiments/`, by topic, read without importing them."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import UsageError
from sightline.registry import suggestion

if TYPE_CHECKING:
    from .experiment import Experiment

_ROOT = Path(__file__).parent / "experiments"
# The order of the book; a folder of each name.
TOPICS = (
    "linear_models", "gradients", "networks", "initialisation", "normalisation", "optimisation", "convolution",
    "depth", "handmade", "vision", "evaluation", "generation", "errata",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """`name` is what the command line takes, `topic` the title of its chapter."""

    name: str
    topic: str
    title: str
    question: str
    module: str


@cache
def entries() -> dict[str, Entry]:
    """Every experiment by name, in the order of the book: by topic, then by file name."""
    found: dict[str, Entry] = {}
    for topic in TOPICS:
        heading, _ = _docstring(_ROOT / topic / "__init__.py")
        for path in sorted((_ROOT / topic).glob("*.py")):
            if path.stem != "__init__" and not path.stem.startswith("_"):
                title, question = _docstring(path)
                name = path.stem.replace("_", "-")
                found[name] = Entry(name, heading, title, question, f"{__package__}.experiments.{topic}.{path.stem}")
    return found


def _docstring(path: Path) -> tuple[str, str]:
    """The first line of a file's docstring without its full stop, and the rest as one paragraph."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    title, _, rest = text.partition("\n")
    return title.rstrip("."), " ".join(rest.split())


def find(name: str) -> Entry:
    """The experiment of that name; UsageError with the nearest names otherwise."""
    wanted = name.replace("_", "-")
    if wanted not in entries():
        hint = suggestion(wanted, dict.fromkeys(entries()), {})
        raise UsageError(f"unknown experiment {name!r}", hint if len(hint) < 200 else "list them with `sightline lab`")
    return entries()[wanted]


def load(entry: Entry) -> Experiment[Any]:
    """The experiment itself; imports torch."""
    experiment: Experiment[Any] = importlib.import_module(entry.module).EXPERIMENT
    return experiment


def list_experiments() -> list[dict[str, str]]:
    """Every experiment: name, topic, title, question, in the order of the book."""
    return [
        {"name": e.name, "topic": e.topic, "title": e.title, "question": e.question} for e in entries().values()
    ]  # fmt: skip
