"""Starting a run: choose its folder, check that it is free, and write the files that precede the first step."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

import torch

from sightline.data.dataset import Dataset
from sightline.data.summary import data_hash, data_json, has_hash
from sightline.errors import DamagedError, SightlineError, UsageError
from sightline.recipes.reading import recipe_yaml
from sightline.recipes.recipe import Draft, Recipe, identity
from sightline.runs.run import Run, changed, open_run
from sightline.storage.files import make_folder, sync_folder
from sightline.storage.folders import sweep
from sightline.storage.text import printable
from sightline.version import __version__

from .console import Console
from .seal import BEGUN, require_as_begun

PACKAGES = ("torch", "lightning-fabric", "numpy", "pillow", "safetensors", "pydantic", "scikit-learn", "pyarrow")


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 of the part of the recipe that decides what a run computes."""
    return hashlib.sha256(json.dumps(identity(recipe), sort_keys=True).encode()).hexdigest()


def place(recipe: Recipe, data: Dataset, out: str | Path | None, *, smoke: bool) -> Run:
    """The run in its folder, which is created if necessary. An existing folder must hold the same run, unfinished."""
    if out is None:
        return Run(_unused(Path("runs"), f"{_slug(data.name)}-{_slug(recipe.model.name)}{'-smoke' if smoke else ''}"))
    folder = Path(out)
    if not os.path.lexists(folder):
        make_folder(folder)
    require_free(folder)
    if (folder / "run.json").exists():
        _require_same_run(open_run(folder), recipe, data, smoke=smoke)
    return Run(folder)


def require_free(out: str | Path | None) -> None:
    """UsageError if no run can start or resume in `out`, whatever its data: checked before the data are read."""
    if out is None or not os.path.lexists(folder := Path(out)):
        return
    if not os.path.isdir(folder):
        raise UsageError(f"{folder} is not a folder", "choose another --out")
    if (folder / "run.json").exists():
        _require_unfinished(open_run(folder))
    elif foreign := [p.name for p in folder.iterdir() if p.name not in _STARTUP_FILES and p.name[0] != "."]:
        raise UsageError(
            f"{folder} is occupied: it contains {printable(foreign[0])} but no run", "choose another --out"
        )


def _require_unfinished(run: Run) -> None:
    if run.finished:
        raise UsageError(f"{run.folder} holds a finished run", "choose another --out")


def with_run_settings(recipe: Draft, out: str | Path | None) -> Draft:
    """The recipe; threads, precision and the rule for splits, if left open, are those of the run in `out`, so that the same
    command resumes it on a machine or with a version that would choose others. Errors about that run are left to `place`."""
    try:
        earlier = open_run(out).recipe if out is not None and os.path.isfile(Path(out) / "run.json") else None
    except SightlineError:
        earlier = None
    if earlier is None:
        return recipe
    threads = recipe.fit.threads or earlier.fit.threads
    precision = earlier.fit.precision if recipe.fit.precision == "auto" else recipe.fit.precision
    fit = recipe.fit.model_copy(update={"threads": threads, "precision": precision})
    data = recipe.data.model_copy(update={"split_rule": recipe.data.split_rule or earlier.data.split_rule})
    return recipe.model_copy(update={"fit": fit, "data": data})


_STARTUP_FILES = {"recipe.yaml", "environment.json", "data.json"}  # left by a run that died before its first commit


def _require_same_run(run: Run, recipe: Recipe, data: Dataset, *, smoke: bool) -> None:
    """UsageError unless the folder's run is unfinished and has this recipe and these data."""
    status = run.status
    _require_unfinished(run)
    if bool(status.get("smoke")) != smoke:
        what = "a full training, not a rehearsal" if smoke else "a rehearsal (--smoke)"
        raise UsageError(f"{run.folder} holds {what}", "choose another --out")
    if status.get("recipe") != recipe_hash(recipe):
        changes = ", ".join(_changed_keys(run, recipe)[:3]) or "its recipe.yaml was edited after the start"
        raise UsageError(f"{run.folder} holds a run of another recipe: {changes}", "start a new run with another --out")
    if not has_hash(data, status.get("data")):
        raise UsageError(
            f"{run.folder} holds a run on other data: images or labels have changed",
            "restore them, or start a new run with another --out",
        )


def _changed_keys(run: Run, recipe: Recipe) -> list[str]:
    """The keys of the recipe that differ from the run's, with both values."""
    try:
        then, now = identity(run.recipe), identity(recipe)
    except DamagedError as error:
        return [str(error)]
    flat_then, flat_now = _flat(then), _flat(now)
    return [f"{k} was {flat_then.get(k)!r}, is now {v!r}" for k, v in flat_now.items() if flat_then.get(k) != v]


def _flat(nested: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{name}.{key}" if isinstance(part, dict) else name: value
        for name, part in nested.items()
        for key, value in (part.items() if isinstance(part, dict) else [("", part)])
    }


def _unused(parent: Path, name: str) -> Path:
    """Create parent/name, or name-2, name-3 … if that exists already."""
    make_folder(parent)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
            sync_folder(parent)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UsageError(f"cannot create {folder}: {os.strerror(error.errno or 0)}") from error
        else:
            return folder


def _slug(name: str) -> str:
    """The name of a data set as part of a folder's name: letters, digits, dots, underscores and dashes, at most 60."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:60] or "data"


def begin(run: Run, recipe: Recipe, data: Dataset, question: str, *, smoke: bool, console: Console) -> None:
    """Write the files that describe the run, unless an earlier start did. `run.json` comes last: it makes the folder a run."""
    resumed = (run.folder / "run.json").exists()
    if resumed:
        _require_same_run(run, recipe, data, smoke=smoke)  # another process may have started it since `place` checked
        require_as_begun(run)
        _require_same_classes(run, data)
    for folder in (run.folder, *(path for path in run.folder.iterdir() if path.is_dir())):
        sweep(folder)
    run.write_json("environment.json", environment())
    if resumed:
        console.say(f"resuming {run.folder}")
        return
    run.write("recipe.yaml", recipe_yaml(recipe).encode())
    run.write_json("data.json", data_json(data, question))
    run.note(
        name=run.folder.name, task=recipe.task.kind, status="running", step=0, smoke=smoke, stopped=None,
        recipe=recipe_hash(recipe), data=data_hash(data), written={name: run.written[name] for name in BEGUN},
    )  # fmt: skip


def _require_same_classes(run: Run, data: Dataset) -> None:
    """Raises DamagedError unless data.json describes these data; runs of earlier versions do not record its hash."""
    stored = run.fields("data.json")
    if run.classes != tuple(data.classes) or not has_hash(data, stored.raw("hash")):
        raise changed(run.folder / "data.json", "restore it, or start a new run with another --out")


def environment() -> dict[str, Any]:
    """Versions and hardware, without paths or times."""
    return {
        "sightline": __version__,
        "python": platform.python_version(),
        "platform": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
