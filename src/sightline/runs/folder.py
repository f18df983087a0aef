"""Starting a run folder: its place, whether it is free, and its files before the first step."""

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
from sightline.data.summary import data_hash, data_json
from sightline.errors import DamagedError, SightlineError, UsageError
from sightline.recipes.reading import recipe_yaml
from sightline.recipes.recipe import Draft, Recipe, identity
from sightline.runs.run import Run, open_run
from sightline.storage.files import make_folder, replace_file, sync_folder
from sightline.storage.folders import sweep
from sightline.storage.text import printable
from sightline.version import __version__

from .console import Console

PACKAGES = ("torch", "lightning-fabric", "numpy", "pillow", "safetensors", "pydantic", "scikit-learn", "pyarrow")


def recipe_hash(recipe: Recipe) -> str:
    return hashlib.sha256(json.dumps(identity(recipe), sort_keys=True).encode()).hexdigest()


def place(recipe: Recipe, data: Dataset, out: str | Path | None, *, smoke: bool) -> Run:
    """The run's folder, made if it is new. An existing one is taken only when it is the same run, unfinished."""
    if out is None:
        return Run(_unused(Path("runs"), f"{_slug(data.name)}-{_slug(recipe.model.name)}"))
    folder = Path(out)
    if not folder.exists():
        make_folder(folder)
    require_free(folder)
    if (folder / "run.json").exists():
        _require_same_run(open_run(folder), recipe, data, smoke=smoke)
    return Run(folder)


def require_free(out: str | Path | None) -> None:
    """UsageError where `out` takes no run, whatever its data: known before these are read."""
    if out is None or not (folder := Path(out)).exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "choose another --out")
    if (folder / "run.json").exists():
        _require_unfinished(open_run(folder))
    elif foreign := [p.name for p in folder.iterdir() if p.name not in _STARTUP_FILES and not p.name.startswith(".")]:
        raise UsageError(f"{folder} is occupied: it holds {printable(foreign[0])} and no run", "choose another --out")


def _require_unfinished(run: Run) -> None:
    if run.finished:
        raise UsageError(f"{run.folder} holds a finished run", "choose another --out")


def with_run_settings(recipe: Draft, out: str | Path | None) -> Draft:
    """The recipe with threads and precision, if left open, taken from the run in `out`: the same command then resumes it,
    whatever this machine would choose. Errors about that run are left to `place`."""
    try:
        begun = open_run(out).recipe.fit if out is not None and (Path(out) / "run.json").exists() else None
    except SightlineError:
        begun = None
    if begun is None:
        return recipe
    threads = recipe.fit.threads or begun.threads
    precision = begun.precision if recipe.fit.precision == "auto" else recipe.fit.precision
    return recipe.model_copy(update={"fit": recipe.fit.model_copy(update={"threads": threads, "precision": precision})})


_STARTUP_FILES = {"recipe.yaml", "environment.json", "data.json"}  # what a run that died before its first commit leaves


def _require_same_run(run: Run, recipe: Recipe, data: Dataset, *, smoke: bool) -> None:
    """Raises UsageError unless the folder's run is unfinished and of this recipe and this data."""
    status = run.status
    _require_unfinished(run)
    if bool(status.get("smoke")) != smoke:
        what = "a rehearsal (--smoke)" if not smoke else "a whole training, no rehearsal"
        raise UsageError(f"{run.folder} holds {what}", "choose another --out")
    if status.get("recipe") != recipe_hash(recipe):
        differs = ", ".join(_changed_keys(run, recipe)[:3]) or "its recipe.yaml was edited since it began"
        raise UsageError(f"{run.folder} holds a run of another recipe: {differs}", "start a new run with another --out")
    if status.get("data") != data_hash(data):
        raise UsageError(
            f"{run.folder} holds a run on other data: the images or labels changed",
            "restore them, or start a new run with another --out",
        )


def _changed_keys(run: Run, recipe: Recipe) -> list[str]:
    try:
        then, now = identity(run.recipe), identity(recipe)
    except DamagedError as error:
        return [str(error)]
    flat_then, flat_now = _flat(then), _flat(now)
    return [f"{k} was {flat_then.get(k)!r}, is {v!r}" for k, v in flat_now.items() if flat_then.get(k) != v]


def _flat(nested: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{name}.{key}" if isinstance(part, dict) else name: value
        for name, part in nested.items()
        for key, value in (part.items() if isinstance(part, dict) else [("", part)])
    }


def _unused(parent: Path, name: str) -> Path:
    """parent/name, or -2, -3 … : the first that this process creates."""
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
            raise UsageError(f"cannot make {folder}: {os.strerror(error.errno or 0)}") from error
        else:
            return folder


def _slug(name: str) -> str:
    """A data set's name as a folder's name: letters, digits, dots and dashes, at most 60."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.")[:60] or "data"


def begin(run: Run, recipe: Recipe, data: Dataset, question: str, *, smoke: bool, console: Console) -> None:
    """Write what describes the run, unless an earlier start did. `run.json` comes last: with it the run exists."""
    begun = (run.folder / "run.json").exists()
    if begun:
        _require_same_run(run, recipe, data, smoke=smoke)  # another process may have been here since `place` looked
    for folder in (run.folder, *(path for path in run.folder.iterdir() if path.is_dir())):
        sweep(folder)
    run.write_json("environment.json", environment())
    if begun:
        console.say(f"resuming {run.folder}")
        return
    replace_file(run.folder / "recipe.yaml", recipe_yaml(recipe).encode())
    run.write_json("data.json", data_json(data, question))
    run.note(
        name=run.folder.name, task=recipe.task.kind, status="running", step=0, smoke=smoke, stopped=None,
        recipe=recipe_hash(recipe), data=data_hash(data),
    )  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions and hardware, no paths and no clocks."""
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
