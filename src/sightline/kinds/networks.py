"""The networks of a run: built, described, saved by name, and opened again.

A network called "model" is `model/model.safetensors` with `model/config.json`; any other, such as a GAN's critic, is
`model/critic.safetensors` with `model/critic.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from sightline.engine.checkpoints import load_weights, read_best
from sightline.errors import UsageError
from sightline.models.describe import describe
from sightline.models.own import code_of, is_own
from sightline.recipes.arguments import model_options_of
from sightline.recipes.recipe import Recipe
from sightline.runs.run import FACTS, Run
from sightline.storage.tensors import pack, unpack
from sightline.tasks.task import Task

from .catalogue import kind_of
from .kind import Kind, Networks, Setting

MAIN = "model"  # the name of the network if a task has only one


def config_file(name: str) -> str:
    return f"model/{'config' if name == MAIN else name}.json"


def weights_file(name: str) -> str:
    return f"model/{name}.safetensors"


def write_configs(
    run: Run,
    kind: Kind,
    recipe: Recipe,
    classes: tuple[str, ...],
    weights: Mapping[str, Any] | None,
    tuning: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """Write and return the description of each network, layer by layer; `weights` is the record of its starting weights,
    `tuning` that of what training does with them."""
    (run.folder / "model").mkdir(exist_ok=True)
    shapes, described = kind.inputs(recipe), {}
    for name, network in kind.networks(recipe, len(classes)).items():
        known = describe(network, input=shapes[name])
        options = model_options_of(recipe, len(classes), kind.output) if kind.output is not None else {}
        config = {"options": options, "input": shapes[name], "classes": classes}
        config |= {"weights": weights} if weights else {}
        config |= {"fine_tuning": tuning} if weights and tuning else {}
        if name == MAIN and is_own(recipe.model.name) and (code := code_of(recipe.model.name)) is not None:
            config["code"] = code._asdict()
        described[name] = known | config | {"name": recipe.model.name if name == MAIN else name}
        run.write_json(config_file(name), described[name])
    return described


def save_networks(run: Run, task: Task, tensors: Mapping[str, Tensor], networks: Networks) -> None:
    """Save the weights of every network, without wrappers of the task. `networks` are those that the task was built from,
    `tensors` the state of the whole task."""
    for name, network in networks.items():
        inside = f"{name}.network." if f"{name}.network.{_first(network)}" in tensors else f"{name}."
        own = {key: tensors[inside + key] for key in network.state_dict()}
        run.write(weights_file(name), pack(own)[0])


def _first(network: nn.Module) -> str:
    return next(iter(network.state_dict()), "")


def facts_of(run: Run) -> dict[str, Any]:
    """What the run's task knows beside its weights; runs of earlier versions, and most kinds, have nothing to know."""
    return run.read_json(FACTS) if (run.folder / FACTS).exists() else {}


def load_task(run: Run) -> Task:
    """The run's task with its kept weights: from `model/`, or from the newest valid checkpoint of an unfinished run."""
    kind, recipe, classes = kind_of(run), run.recipe, run.classes
    networks = kind.networks(recipe, len(classes))
    task = kind.task(networks, Setting(recipe, run.preprocessing, np.ones(len(classes), np.int64), facts_of(run)))
    files = {name: run.folder / weights_file(name) for name in networks}
    if any(path.exists() for path in files.values()):
        for name, network in networks.items():
            load_weights(network, unpack(run.sealed_bytes(weights_file(name)), {}, str(files[name])), str(files[name]))
    else:
        best = read_best(run.folder / "checkpoints")
        if not best:
            raise UsageError(
                f"{run.folder} has no weights yet: it has not reached its first validation", "continue with --resume"
            )
        load_weights(task, best, "best.safetensors")
    return task.eval()
