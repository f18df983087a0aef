"""A checkpoint: all that a training is, committed atomically; and the way back from it, to the bit.

    networks.safetensors    every child of the task        optimizers.safetensors   each turn's moments
    ema.safetensors         the average, where it is on    best.safetensors         the kept weights at the best validation
    state.json              step, history, best, meters, optimisers' groups

Each checkpoint is complete in itself: no damage to one can take another with it.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.errors import DamagedError, ResourceError
from sightline.storage.folders import commit_folder, newest_good, retain, sweep
from sightline.storage.logs import Log
from sightline.storage.tensors import check_same, pack, unpack
from sightline.storage.text import json_text
from sightline.tasks.task import Task

from .ema import Ema
from .state import State

ROOM = 2.5  # times its bytes must be free before a checkpoint is begun
FAILURES = 3  # commits that may fail in a row before the run stops
GRACE = 10.0  # seconds that containers and queues commonly give between SIGTERM and SIGKILL


class Checkpoints:
    """Commits and restores one training in `folder`. `about` goes into every manifest (fingerprint, hashes, classes);
    `say` hears what a person should know."""

    def __init__(
        self,
        folder: Path,
        task: Task,
        optimizers: Mapping[str, torch.optim.Optimizer],
        *,
        ema: Ema | None,
        logs: Mapping[str, Log],
        about: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self.folder, self.task, self.optimizers = folder, task, optimizers
        self.ema, self.logs, self.about, self.say = ema, logs, about, say
        self._failed = 0
        self._last = self._tried = -1
        self._slow = False  # whether that was said

    @property
    def kept(self) -> int | None:
        """The step of the newest checkpoint that was written or resumed from; None where there is none."""
        return self._last if self._last >= 0 else None

    def commit(self, state: State) -> None:
        """Commit the state, once a step. A failure is said and retried at a later step; the third in a row raises."""
        if state.step in (self._last, self._tried):
            return
        self._tried, begun = state.step, time.monotonic()
        try:
            tensors = self._tensors(state)
            if bad := [f"{file}/{n}" for file, part in tensors.items() for n, t in part.items() if not _finite(t)]:
                raise DamagedError(f"{bad[0]} is not finite")
            packed = {file: pack(part) for file, part in tensors.items()}
            groups = {turn: _groups(optimizer) for turn, optimizer in self.optimizers.items()}
            files = {f"{file}.safetensors": data for file, (data, _) in packed.items()}
            files["state.json"] = json_text({"state": state.to_json(), "optimizers": groups}).encode()
            manifest = {
                **self.about,
                "step": state.step,
                "cursor": {"steps": state.step},
                "layout": {f"{file}.safetensors": layout for file, (_, layout) in packed.items()},
                "logs": {name: log.mark() for name, log in self.logs.items()},
            }
            self._room(sum(map(len, files.values())))
            commit_folder(self.folder / f"step-{state.step:08d}", files, manifest)
        except (ResourceError, DamagedError, OSError) as error:
            self._failed += 1
            self.say(f"checkpoint at step {state.step} not written: {error}")
            if self._failed >= FAILURES:
                raise ResourceError(
                    f"{self._failed} checkpoints in a row could not be written; last: {error}"
                ) from error
            return
        self._failed, self._last = 0, state.step
        retain(self.folder)
        if (took := time.monotonic() - begun) > GRACE and not self._slow:
            self._slow = True
            self.say(
                f"a checkpoint takes {took:.0f} s: what kills sooner after its signal loses the steps since the last"
            )

    def resume(self) -> State | None:
        """The newest good state, loaded into task, optimisers and average; None where nothing was committed yet.

        Raises DamagedError when there are checkpoints and none verifies: a run never starts from zero in silence.
        """
        sweep(self.folder)
        found = newest_good(self.folder)
        for reason in found.skipped:
            self.say(f"checkpoint passed over: {reason}")
        if found.folder is None:
            if found.skipped:
                raise DamagedError(f"no checkpoint in {self.folder} verifies", "start a new run with another --out")
            return None
        for what in ("recipe", "data"):
            if found.manifest.get(what) != self.about.get(what):
                raise DamagedError(
                    f"{found.folder} belongs to a run of another {what}",
                    "put the run's own back, or train anew with --out",
                )
        self._warn(found.manifest)
        state = self._restore(found.folder, found.manifest)
        for name, log in self.logs.items():
            if name in found.manifest["logs"] and (problem := log.cut(found.manifest["logs"][name])):
                self.say(problem)
        self._last = state.step
        retain(self.folder)  # what died may not have come to it
        return state

    def _restore(self, folder: Path, manifest: Mapping[str, Any]) -> State:
        def read(name: str) -> dict[str, Tensor]:
            path = folder / f"{name}.safetensors"
            return unpack(path.read_bytes(), manifest["layout"].get(path.name, {}), f"{folder.name}/{path.name}")

        saved = json.loads((folder / "state.json").read_bytes())
        networks = read("networks")
        load_weights(self.task, networks, f"{folder.name}/networks.safetensors")
        if self.ema is not None:
            average = read("ema")
            check_same(average, self.ema.tensors(), f"{folder.name}/ema.safetensors")
            self.ema.load(average)
        moments = read("optimizers")
        for turn, optimizer in self.optimizers.items():
            _load_optimizer(optimizer, saved["optimizers"][turn], moments, turn)
        return State.from_json(saved["state"], read("best"))

    def _tensors(self, state: State) -> dict[str, dict[str, Tensor]]:
        moments = {k: t for turn, optimizer in self.optimizers.items() for k, t in _moments(optimizer, turn).items()}
        average = {"ema": self.ema.tensors()} if self.ema else {}
        return {
            "networks": self.task.state_dict(),
            "optimizers": moments,
            "best": state.best_weights,
            **average,
        }

    def _room(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < ROOM * needed:
            raise ResourceError(
                f"no room for a checkpoint: {round(ROOM * needed):,} bytes are needed, {ROOM} times its own; {free:,} are free",
                f"free space under {self.folder}",
            )

    def _warn(self, manifest: Mapping[str, Any]) -> None:
        """Say what in the environment changed since the checkpoint, and so may change the last bits."""
        now, then = self.about.get("fingerprint", {}), manifest.get("fingerprint", {})
        changed = [f"{k} was {then.get(k)}, is {now[k]}" for k in now if now[k] != then.get(k)]
        if changed:
            self.say(f"from here on not bit-identical to an uninterrupted run, because {'; '.join(changed)}")


def kept_weights(task: Task, ema: Ema | None) -> dict[str, Tensor]:
    """A copy of the weights that would be kept now: the average's where it is on."""
    tensors = task.state_dict() | (ema.tensors() if ema else {})
    return {name: t.detach().clone(memory_format=torch.preserve_format) for name, t in tensors.items()}


@torch.no_grad()
def load_weights(task: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Copy `tensors` into the module's own, wrapped or bare, keeping their layout. Raises DamagedError on any mismatch."""
    own = {name: t.detach() for name, t in task.state_dict(keep_vars=True).items()}
    check_same(tensors, own, what)
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def read_best(folder: Path) -> dict[str, Tensor]:
    """The best kept weights in the newest good checkpoint under `folder`. Raises DamagedError where there is none."""
    found = newest_good(folder)
    if found.folder is None:
        raise DamagedError(f"no checkpoint in {folder} verifies: {'; '.join(found.skipped) or 'there is none'}")
    name = "best.safetensors"
    return unpack((found.folder / name).read_bytes(), found.manifest["layout"].get(name, {}), name)


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _moments(optimizer: torch.optim.Optimizer, turn: str) -> dict[str, Tensor]:
    states = optimizer.state_dict()["state"]
    return {f"{turn}.{i}.{k}": v for i, state in states.items() for k, v in state.items() if isinstance(v, Tensor)}


def _groups(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The parameter groups and the moments that are plain numbers or None."""
    saved = optimizer.state_dict()
    plain = {
        str(i): {k: v for k, v in state.items() if not isinstance(v, Tensor)} for i, state in saved["state"].items()
    }
    return {"groups": saved["param_groups"], "plain": plain}


def _load_optimizer(
    optimizer: torch.optim.Optimizer, saved: Mapping[str, Any], moments: Mapping[str, Tensor], turn: str
) -> None:
    states: dict[int, dict[str, Any]] = {int(i): dict(values) for i, values in saved["plain"].items()}
    for name, tensor in moments.items():
        owner, index, key = name.rsplit(".", 2)
        if owner == turn:
            states.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": saved["groups"]})
