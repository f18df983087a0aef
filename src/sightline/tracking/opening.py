"""From the keys `track.*` of a recipe to the tracker of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sightline.errors import ResourceError, UsageError
from sightline.recipes.recipe import TrackSection
from sightline.runs.console import Console
from sightline.storage.files import replace_file
from sightline.storage.text import json_text

from .sink import Sink
from .tracker import Tracker, first_line

NOTES = "tracking.json"  # in the run folder: where its figures went, so that a resumed run goes on there
PLACE = "tensorboard"  # the folder of event files in the run
STORE = "mlruns"  # MLflow's folder beside the run
_PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow"}
_LOCAL = {"", "file", "sqlite"}  # schemes that reach no other machine


def require_trackers(track: TrackSection) -> None:
    """ResourceError where a package is missing; UsageError for a server without leave to use the network, or for a password
    in its address."""
    for key, package in _PACKAGES.items():
        if getattr(track, key) is not False and not _installed(package):
            raise ResourceError(
                f"track.{key} needs {package}, which is not installed", "install it: pip install 'sightline[track]'"
            )
    if isinstance(track.mlflow, bool):
        return
    parts = urlsplit(track.mlflow)
    if parts.password or parts.username:
        raise UsageError(
            "track.mlflow holds a user or password, which the recipe would keep",
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead",
        )
    if parts.scheme not in _LOCAL and not track.allow_network:
        raise UsageError(
            f"track.mlflow={track.mlflow} is on another machine", "set track.allow_network=true to send figures there"
        )


def open_tracker(track: TrackSection, folder: Path, experiment: str, console: Console) -> Tracker:
    """The tracker of the run in `folder`. A place that cannot be opened is reported, and left out."""
    sinks: list[Sink] = []
    notes = _read(folder)

    def add(name: str, make: Callable[[], Sink]) -> None:
        try:
            sinks.append(make())
        except Exception as error:
            console.warn(f"{name}: no tracking: {first_line(error)}")

    if track.tensorboard is not False:
        add("TensorBoard", lambda: _event_files(track.tensorboard, folder, notes))
    if track.mlflow is not False:
        add("MLflow", lambda: _mlflow_run(track.mlflow, folder, experiment, notes))
    if sinks:
        try:
            replace_file(folder / NOTES, (json_text(notes) + "\n").encode())
        except Exception as error:
            console.warn(f"{NOTES} could not be written: {first_line(error)}")
    return Tracker(sinks, console)


def _installed(package: str) -> bool:
    try:
        return util.find_spec(package) is not None
    except ValueError:  # it was imported in part
        return False


def _event_files(where: bool | str, folder: Path, notes: dict[str, Any]) -> Sink:
    from .event_files import EventFiles

    if where is True:
        return EventFiles(folder / PLACE)
    root = Path(str(where)).absolute()
    place = root / folder.name
    known = notes.get("tensorboard")
    if isinstance(known, str) and Path(known).parent == root:
        place = Path(known)
    else:  # a stream of another run of that name is left alone
        number = 2
        while place.exists():
            place, number = root / f"{folder.name}-{number}", number + 1
    notes["tensorboard"] = str(place)
    return EventFiles(place)


def _mlflow_run(where: bool | str, folder: Path, experiment: str, notes: dict[str, Any]) -> Sink:
    from .mlflow_runs import MlflowRun

    uri = (folder.absolute().parent / STORE).as_uri() if where is True else str(where)
    if not urlsplit(uri).scheme:
        uri = Path(uri).absolute().as_uri()
    known = notes.get("mlflow")
    known = known.get("run") if isinstance(known, dict) and known.get("uri") == uri else None
    sink = MlflowRun(uri, experiment, folder.name, known if isinstance(known, str) else None)
    notes["mlflow"] = {"uri": uri, "run": sink.id}
    return sink


def _read(folder: Path) -> dict[str, Any]:
    """The notes of an earlier start; none where there are no readable ones."""
    path = folder / NOTES
    try:
        value = json.loads(path.read_bytes()) if os.path.isfile(path) and path.stat().st_size < 1 << 16 else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
