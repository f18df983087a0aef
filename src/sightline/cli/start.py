"""The first line of a verb, before seconds of imports: what it is about to do, or that a name is mistyped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.data.files.missing import require_path
from sightline.recipes.names import require_what
from sightline.runs.console import Console


@contextmanager
def reading(console: Console, what: str, verb: str) -> Iterator[None]:
    """A verb that reads data. UsageError for a name that is not known, DataError for a path that leads nowhere."""
    require_what(what)
    if os.sep in what and not os.path.lexists(what) and "://" not in what and not what.endswith((".yaml", ".yml")):
        require_path(Path(what))
    with console.working(f"{verb} {what}"):
        console.say(f"reading {what}")
        yield


@contextmanager
def doing(console: Console, what: str) -> Iterator[None]:
    """A verb with its first line, and signs of life until its end."""
    with console.working(what):
        console.say(what)
        yield
