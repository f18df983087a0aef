"""`python -m sightline.app FOLDER`: the page for a folder of runs. The process imports no torch."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Sequence
from typing import Any

from sightline.serving.__main__ import make_parser, run
from sightline.serving.settings import Settings
from sightline.storage.text import printable

from .library import Library


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser("python -m sightline.app", "A page for a folder of runs, for one run, or for an export.")
    return run(parser.parse_args(arguments), _serve)


def _serve(settings: Settings, json: bool) -> dict[str, Any] | None:
    from sightline.serving.app import guarded_app
    from sightline.serving.server import run_server

    from .engines import Engines
    from .routes import OPEN, model_routes, page_routes, run_routes

    library, engines = Library(settings.folder), Engines(settings)
    routers = (page_routes(), run_routes(library), model_routes(library, engines))

    def greet(address: str, model: dict[str, Any]) -> None:
        amount = len(library.entries())
        line = f"{amount} {'run' if amount == 1 else 'runs'} on {address}"
        print(json_module.dumps({"url": address, "runs": amount}) if json else printable(line), flush=True)

    return run_server(engines, lambda port: guarded_app(engines, routers, port=port, open_paths=OPEN), greet)


if __name__ == "__main__":
    sys.exit(main())
