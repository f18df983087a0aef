"""The commands `serve` and `app`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

from typer import Argument, Option

from sightline.runs.console import Console

from .answering import Answer, answer
from .options import Json, OwnModel, Quiet, Verbose

SERVE_EXAMPLES = (
    "serve runs/photos",
    "serve runs/photos/exports/onnx-fp32 --port 9000",
    "serve runs/photos --host 0.0.0.0 --token-file token.txt",
)

APP_EXAMPLES = ("app", "app runs/photos", "app runs --host 0.0.0.0 --token-file token.txt")
Host = Annotated[str, Option(help="The address to listen on. Any but a loopback address needs a token.")]
Port = Annotated[int, Option(min=0, max=65535, help="The port; 0 for any that is free.")]
TokenFile = Annotated[
    str | None, Option(metavar="FILE", help="A file with the token; without it SIGHTLINE_TOKEN, if it is set.")
]


def serve(
    run: Annotated[str, Argument(metavar="RUN", help="The folder of a run or of an export.", show_default=False)],
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token_file: TokenFile = None,
    batch: Annotated[int, Option(min=1, help="Most images of one pass through the network.")] = 8,
    queue: Annotated[int, Option(min=1, help="Most images that are accepted and not yet answered.")] = 64,
    threads: Annotated[int, Option(min=0, help="Threads of the network; 0: as many as there are cores.")] = 0,
    model: OwnModel = None,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Serve a model over HTTP: a run, which is exported first, or an export. One line tells when it is ready."""

    def work(console: Console) -> Answer:
        from sightline.verbs.serve import server_command

        command = server_command(
            run, host=host, port=port, token_file=token_file, batch=batch, queue=queue, threads=threads,
            json=json, model=model, console=console,
        )  # fmt: skip
        os.execv(command[0], command)  # the server takes this process's place, and inherits nothing of the export

    answer(work, json=json, level=verbose - quiet)


def show_app(
    folder: Annotated[
        str, Argument(metavar="FOLDER", help="A folder of runs, one run, or an export.", show_default=False)
    ] = "runs",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token_file: TokenFile = None,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Open your runs in a browser: results, data, reports, and predictions for images that you drop on the page."""

    def work(console: Console) -> Answer:
        command = [sys.executable, "-P", "-m", "sightline.app", folder, f"--host={host}", f"--port={port}"]
        command += [] if token_file is None else [f"--token-file={token_file}"]
        command += ["--json"] if json else []
        os.execv(command[0], command)  # a process that never imported torch

    answer(work, json=json, level=verbose - quiet)
