"""In what runs differ besides their results: recipe, data, machine, code."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from sightline.errors import SightlineError
from sightline.recipes.recipe import identity
from sightline.runs.run import Run

_PACKAGES = "packages"
_EVERY = ("data.path", "data.name")  # keys that identity leaves in but that say nothing where the data are the same


def differences(runs: Sequence[Run]) -> dict[str, dict[str, list[Any]]]:
    """For recipe, data, machine and code: key → the value of each run, where they are not all the same."""
    parts = {"recipe": [], "data": [], "machine": [], "code": []}  # type: dict[str, list[Mapping[str, Any]]]
    for run in runs:
        recipe = flat(identity(run.recipe))
        parts["recipe"].append(recipe)
        parts["data"].append(_data(run))
        machine, code = _environment(run)
        parts["machine"].append(machine)
        parts["code"].append(code)
    return {name: _unlike(values) for name, values in parts.items()}


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"fit": {"epochs": 5}} → {"fit.epochs": 5}"""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def only_seed(unlike: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the runs are the same training with other seeds."""
    return set(unlike["recipe"]) == {"seed"} and not unlike["data"]


def _unlike(values: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for one in values for key in one)
    found = {key: [one.get(key) for one in values] for key in keys}
    return {key: several for key, several in found.items() if any(value != several[0] for value in several)}


def _data(run: Run) -> dict[str, Any]:
    try:
        stored = run.read_json("data.json")
    except SightlineError:
        return {}
    splits = stored.get("splits")
    sizes = {f"{name} images": size for name, size in splits.items()} if isinstance(splits, Mapping) else {}
    return {"name": stored.get("name"), "hash": str(run.status.get("data"))[:12], **sizes}


def _environment(run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """(machine, code) of the training."""
    if not os.path.isfile(run.folder / "environment.json"):
        return {}, {}
    stored = run.read_json("environment.json")
    packages = stored.get(_PACKAGES)
    code = {"sightline": stored.get("sightline"), "python": stored.get("python")}
    code |= dict(packages) if isinstance(packages, Mapping) else {}
    return {key: value for key, value in stored.items() if key not in (*code, _PACKAGES)}, code
