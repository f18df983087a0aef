"""serve: an export over HTTP. A run is exported first; the server is another program, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.runtime.folder import is_exported, read_exported
from sightline.serving.settings import Settings, read_token

EXPORTED = "onnx-fp32"


def served_folder(run: str | Path, console: Console | None = None, model: str | None = None) -> Path:
    """The exported folder of a run, which is written if it is not there, or is that of other weights; an exported folder
    itself. UsageError where there is neither."""
    if is_exported(run):
        return Path(run)
    from sightline.kinds.pretrained import open_run_or_model

    from .export import export, run_facts

    console = console or Console()
    opened = open_run_or_model(run, model)
    folder = opened.folder / "exports" / EXPORTED
    if not folder.exists():
        console.say(f"exporting {run}")
        return Path(export(opened, out=folder, console=console)["folder"])
    if read_exported(folder).facts.get("run") != run_facts(opened):
        raise UsageError(
            f"{folder} was exported from other weights than those of {run}", "remove it, and it is written again"
        )
    return folder


def server_command(
    run: str | Path,
    *,
    host: str = Settings.host,
    port: int = Settings.port,
    token_file: str | Path | None = None,
    batch: int = Settings.batch,
    queue: int = Settings.queue,
    threads: int = Settings.threads,
    json: bool = False,
    model: str | None = None,
    console: Console | None = None,
) -> list[str]:
    """The command that serves a run or an export, after the run is exported. The settings are checked first. `model` is the
    run's network where it is code of your own, as MODULE:NAME."""
    Settings(run, host, port, read_token(token_file), batch, queue, threads)
    options = {"host": host, "port": port, "batch": batch, "queue": queue, "threads": threads}
    folder = served_folder(run, console, model)
    command = [sys.executable, "-P", "-m", "sightline.serving", str(folder.absolute())]
    command += [f"--{name}={value}" for name, value in options.items()]
    command += [] if token_file is None else [f"--token-file={token_file}"]
    return command + (["--json"] if json else [])


def serve(run: str | Path, **options: Any) -> int:
    """Serve a run or an export until the server is stopped, by Ctrl-C or a signal; returns its exit code. The options are
    those of `server_command`."""
    process = subprocess.Popen(server_command(run, **options))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the terminal has sent it to the server too, which answers what it has accepted
            continue
        except BaseException:
            process.terminate()
            raise
