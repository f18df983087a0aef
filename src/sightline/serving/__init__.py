"""An exported model over HTTP: a server that never computes, and a worker process that holds the model. No torch.

    from sightline.serving import Settings, create_app
    app = create_app(Settings(folder="exports/photos"))   # a FastAPI application; add routers of your own

`python -m sightline.serving FOLDER` serves an exported folder; `sightline serve` does so for a run too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import create_app as create_app
    from .settings import Settings as Settings

__all__ = ["Settings", "create_app"]
_HOMES = {"Settings": "settings", "create_app": "app"}


def __getattr__(name: str) -> Any:
    """At first use: the worker process is a module of this package and needs no web framework."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sightline.serving' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sightline.serving.{_HOMES[name]}"), name)
