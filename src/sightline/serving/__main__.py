"""`python -m sightline.serving FOLDER`: serve an exported folder. It needs neither torch nor the command line's packages."""

from __future__ import annotations

import argparse
import json as json_module
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sightline.errors import ResourceError, SightlineError
from sightline.storage.text import printable

from .settings import Settings, read_token

Serve = Callable[[Settings, bool], dict[str, Any] | None]  # settings, whether it speaks JSON → the error that ended it


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser("python -m sightline.serving", "Serve the folder that `sightline export` wrote.")
    return run(parser.parse_args(arguments), _serve)


def _serve(settings: Settings, json: bool) -> dict[str, Any] | None:
    from .server import serve

    return serve(settings, lambda address, model: _greet(address, model, json=json))


def run(arguments: argparse.Namespace, serve: Serve) -> int:
    """The exit code of a server with the options of `make_parser`; its error is printed as that of every verb."""
    options = vars(arguments)
    json = options.pop("json")
    try:
        token = read_token(options.pop("token_file"))
        settings = Settings(token=token, **options)
        try:
            failure = serve(settings, json)
        except ImportError as error:
            hint = "install it: pip install 'sightline[serve]'"
            raise ResourceError(f"{error.name or 'a package'} is not installed", hint) from error
    except SightlineError as error:
        failure = {"code": error.code, "exit": error.exit_code, "message": error.message, "hint": error.hint}
    if failure is None:
        return 0
    print(printable(f"error: {failure['message']}"), file=sys.stderr)
    if failure["hint"]:
        print(printable(f"  hint: {failure['hint']}"), file=sys.stderr)
    if json:
        print(json_module.dumps({"error": failure}), flush=True)
    return int(failure["exit"])


def make_parser(program: str, description: str) -> argparse.ArgumentParser:
    """Options of a server over FOLDER; their names are those of `Settings`."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--host", default=Settings.host)
    parser.add_argument("--port", type=int, default=Settings.port)
    parser.add_argument("--token-file", help="a file with the token; without it SIGHTLINE_TOKEN, if it is set")
    parser.add_argument("--batch", type=int, default=Settings.batch, help="images of one pass through the graphs")
    parser.add_argument("--queue", type=int, default=Settings.queue, help="images accepted and not yet answered")
    parser.add_argument(
        "--threads", type=int, default=Settings.threads, help="of the session; 0: as many as there are cores"
    )
    parser.add_argument("--json", action="store_true", help="print the line of readiness as a JSON object")
    return parser


def _greet(address: str, model: dict[str, Any], *, json: bool) -> None:
    if json:
        line = json_module.dumps({"url": address, **model})
    else:
        line = printable(f"serving {model['name']} ({model['task']}, {len(model['classes'])} classes) on {address}")
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
