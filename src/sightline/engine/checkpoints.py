"""Checkpoints: everything that a training consists of, committed atomically and restored bit-identically.

    networks.safetensors    every child of the task        optimizers.safetensors   each turn's moments
    ema.safetensors         the average, where it is on    best.safetensors         the kept weights at the best validation
    state.json              step, history, meters, the optimisers' parameter groups

* The best weights are stored in every checkpoint, not in one of their own. That costs their bytes again, but damage to
  one checkpoint can then never cost both the latest and the best weights, and the two always belong to one history.
* Two checkpoints are kept: if the newest is damaged, training goes on from the one before.
* The newest valid checkpoint is searched for, never stored: a file that named it could be stale or damaged itself.
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

ROOM = 2.5  # free space needed, in multiples of the checkpoint: others write to this disk meanwhile
FAILURES = 3  # failed commits in a row after which the run stops; one or two may be a passing fault
GRACE = 10.0  # seconds that containers and queues commonly leave between SIGTERM and SIGKILL


class Checkpoints:
    """Commits and restores one training in `folder`. `about` goes into every manifest (fingerprint, hashes of recipe and
    data); `say` gets messages for the user."""

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
        self._slow = False  # whether the user was warned

    @property
    def kept(self) -> int | None:
        """The step of the newest checkpoint that was written or resumed from; None where there is none."""
        return self._last if self._last >= 0 else None

    def commit(self, state: State) -> None:
        """Commit the state, at most once a step. A failure is reported and tried again at a later step; the third in a row
        raises ResourceError."""
        if state.step in (self._last, self._tried):
            return
        self._tried, begun = state.step, time.monotonic()
        try:
            tensors = self._tensors(state)
            # The guard lets no NaN in, so one here is a fault of the hardware or of our code. Committing it would, two
            # commits later, leave no good checkpoint.
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
                f"a checkpoint takes {took:.0f} s: if the process is killed sooner after a signal, the steps since the "
                "last checkpoint are lost"
            )

    def resume(self) -> State | None:
        """Load the newest valid checkpoint into task, optimisers and average, and return its state; None if there is none.

        Raises DamagedError if there are checkpoints but none is valid: a run never starts again from zero unasked.
        """
        sweep(self.folder)
        newest = newest_good(self.folder)
        for reason in newest.skipped:
            self.say(f"checkpoint skipped: {reason}")
        if newest.folder is None:
            if newest.skipped:
                raise DamagedError(f"no checkpoint in {self.folder} is valid", "start a new run with another --out")
            return None
        for what in ("recipe", "data"):
            if newest.manifest.get(what) != self.about.get(what):
                raise DamagedError(
                    f"{newest.folder} belongs to a run of another {what}",
                    "restore the run's own checkpoints, or start a new run with another --out",
                )
        self._warn(newest.manifest)
        state = self._restore(newest.folder, newest.manifest)
        # Lines that were logged after this checkpoint are about to be logged again: cut them off.
        for name, log in self.logs.items():
            if name in newest.manifest["logs"] and (problem := log.cut(newest.manifest["logs"][name])):
                self.say(problem)
        self._last = state.step
        retain(self.folder)  # the process may have been killed before it could
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
                f"not enough space for a checkpoint: {ROOM} times its size, {round(ROOM * needed):,} bytes, must be free; "
                f"{free:,} are",
                f"free space under {self.folder}",
            )

    def _warn(self, manifest: Mapping[str, Any]) -> None:
        """Report what has changed in the environment since the checkpoint: the last bits may now differ."""
        now, then = self.about.get("fingerprint", {}), manifest.get("fingerprint", {})
        changed = [f"{k} was {then.get(k)}, is {now[k]}" for k in now if now[k] != then.get(k)]
        if changed:
            self.say(f"the result may no longer be bit-identical to an uninterrupted run: {'; '.join(changed)}")


def kept_weights(task: Task, ema: Ema | None) -> dict[str, Tensor]:
    """A copy of the weights that would be kept now: the average where it is on."""
    tensors = task.state_dict() | (ema.tensors() if ema else {})
    return {name: t.detach().clone(memory_format=torch.preserve_format) for name, t in tensors.items()}


@torch.no_grad()
def load_weights(task: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Copy `tensors` into the module, wrapped by Fabric or not. Copying in place keeps each tensor's memory layout
    (channels last), which decides the kernel and so the last bits. Raises DamagedError on any mismatch."""
    own = {name: t.detach() for name, t in task.state_dict(keep_vars=True).items()}
    check_same(tensors, own, what)
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def read_best(folder: Path) -> dict[str, Tensor]:
    """The best weights in the newest valid checkpoint under `folder`. Raises DamagedError if there is none."""
    newest = newest_good(folder)
    if newest.folder is None:
        raise DamagedError(f"no valid checkpoint in {folder}: {'; '.join(newest.skipped) or 'there is none'}")
    name = "best.safetensors"
    return unpack((newest.folder / name).read_bytes(), newest.manifest["layout"].get(name, {}), name)


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _moments(optimizer: torch.optim.Optimizer, turn: str) -> dict[str, Tensor]:
    states = optimizer.state_dict()["state"]
    # Names are flat, since safetensors holds no nesting: turn.parameter.moment
    return {f"{turn}.{i}.{k}": v for i, state in states.items() for k, v in state.items() if isinstance(v, Tensor)}


def _groups(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The parameter groups, and the moments that are plain numbers or None, which safetensors cannot hold."""
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
