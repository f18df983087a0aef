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
from sightline.storage.folders import MANIFEST, commit_folder, digest, newest_good, read_entry, retain, sweep
from sightline.storage.logs import Log
from sightline.storage.reading import parse_json
from sightline.storage.schema import Fields, brief, brief_text
from sightline.storage.tensors import check_same, not_finite, pack, unpack
from sightline.storage.text import json_text
from sightline.tasks.task import Task

from .ema import Ema
from .moments import checked_moments, moments, moments_of, settings
from .state import State

ROOM = 2.5  # free space needed, in multiples of the checkpoint: others write to this disk meanwhile
FAILURES = 3  # failed commits in a row after which the run stops; one or two may be a passing fault
GRACE = 10.0  # seconds that containers and queues commonly leave between SIGTERM and SIGKILL
_OWN = "restore the run's own checkpoints, or start a new run with another --out"


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
            if bad := [f"{file}/{name}" for file, part in tensors.items() if (name := not_finite(part))]:
                raise DamagedError(f"{bad[0]} is not finite")
            packed = {file: pack(part) for file, part in tensors.items()}
            groups = {turn: settings(optimizer) for turn, optimizer in self.optimizers.items()}
            files = {f"{file}.safetensors": data for file, (data, _) in packed.items()}
            files["state.json"] = _state_text({"state": state.to_json(), "optimizers": groups})
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
                raise DamagedError(f"{newest.folder} belongs to a run of another {what}", _OWN)
        manifest = Fields(newest.manifest, f"{newest.folder.name}/{MANIFEST}", hint=_OWN)
        marks = manifest.fields("logs")
        self._warn(manifest)
        state = self._restore(newest.folder, manifest)
        # Lines that were logged after this checkpoint are about to be logged again: cut them off.
        for name, log in self.logs.items():
            if name in marks.values and (problem := log.cut(marks.fields(name).values)):
                self.say(problem)
        self._last = state.step
        retain(self.folder)  # the process may have been killed before it could
        return state

    def _restore(self, folder: Path, manifest: Fields) -> State:
        """Load what the folder holds. All of it is checked before the first tensor is replaced, and the optimisers keep
        their own settings: those of the recipe, which the checkpoint must agree with."""

        def read(name: str) -> dict[str, Tensor]:
            file, where = f"{name}.safetensors", f"{folder.name}/{name}.safetensors"
            tensors = unpack(read_entry(folder, manifest.values, file), layout.fields(file).values, where)
            if bad := not_finite(tensors):
                raise DamagedError(f"{where}: {bad} is not finite", _OWN)
            return tensors

        layout, where = manifest.fields("layout"), f"{folder.name}/state.json"
        saved = Fields(parse_json(read_entry(folder, manifest.values, "state.json"), where), where, hint=_OWN)
        if "sha256" in saved.values and saved.digest("sha256") != _own_hash(saved.values):
            raise saved.wrong("sha256", "is not that of its other keys")
        networks, remembered, best = read("networks"), read("optimizers"), read("best")
        state = State.from_json(saved.raw("state"), best, where)
        if not state.step == manifest.whole("step") == _step_of(folder):
            raise saved.wrong("state.step", f"is {state.step}, which is not the step of its folder")
        kept = kept_weights(self.task, self.ema)
        if best:
            check_same(best, kept, f"{folder.name}/best.safetensors")
        average = read("ema") if self.ema is not None else {}
        if self.ema is not None:
            check_same(average, self.ema.tensors(), f"{folder.name}/ema.safetensors")
        groups = saved.fields("optimizers")
        groups.require(self.optimizers)
        if strange := [name for name in remembered if name.rsplit(".", 2)[0] not in self.optimizers]:
            raise DamagedError(f"{folder.name}/optimizers.safetensors: {strange[0]:.60} is of no optimiser", _OWN)
        turns = [turn.name for turn in self.task.turns]
        loading = [
            checked_moments(
                optimizer, groups.fields(turn), moments_of(remembered, turn), state.step * turns.count(turn)
            )
            for turn, optimizer in self.optimizers.items()
        ]
        load_weights(self.task, networks, f"{folder.name}/networks.safetensors")
        if self.ema is not None:
            self.ema.load(average)
        for optimizer, states in zip(self.optimizers.values(), loading, strict=True):
            optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
        return state

    def _tensors(self, state: State) -> dict[str, dict[str, Tensor]]:
        remembered = {k: t for turn, optimizer in self.optimizers.items() for k, t in moments(optimizer, turn).items()}
        average = {"ema": self.ema.tensors()} if self.ema else {}
        return {
            "networks": self.task.state_dict(),
            "optimizers": remembered,
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

    def _warn(self, manifest: Fields) -> None:
        """Report what has changed in the environment since the checkpoint: the last bits may now differ."""
        now: Mapping[str, Any] = self.about.get("fingerprint", {})
        then = manifest.fields("fingerprint").values if now else {}
        before = {k: brief_text(v) if isinstance(v, str) else brief(v) for k, v in then.items()}
        changed = [f"{k} was {before.get(k)}, is {now[k]}" for k in now if now[k] != then.get(k)]
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
    if bad := not_finite(tensors):
        raise DamagedError(f"{what}: {bad} is not finite", "use weights from before the training diverged")
    for name, tensor in own.items():
        tensor.copy_(tensors[name])


def read_best(folder: Path) -> dict[str, Tensor]:
    """The best weights in the newest valid checkpoint under `folder`. Raises DamagedError if there is none."""
    newest = newest_good(folder)
    if newest.folder is None:
        raise DamagedError(f"no valid checkpoint in {folder}: {'; '.join(newest.skipped) or 'there is none'}")
    name, manifest = "best.safetensors", Fields(newest.manifest, f"{newest.folder.name}/{MANIFEST}")
    layout = manifest.fields("layout").fields(name).values
    return unpack(read_entry(newest.folder, newest.manifest, name), layout, f"{newest.folder.name}/{name}")


def _state_text(saved: dict[str, Any]) -> bytes:
    """state.json with a hash of its own: a history that was edited is within every range, and a manifest is soon renewed."""
    plain_values = json.loads(json_text(saved))
    return json_text({**plain_values, "sha256": _own_hash(plain_values)}).encode()


def _own_hash(saved: Mapping[str, Any]) -> str:
    own = {key: value for key, value in saved.items() if key != "sha256"}
    return digest(json.dumps(own, sort_keys=True).encode())


def _step_of(folder: Path) -> int:
    number = folder.name.removeprefix("step-")
    return int(number) if number.isdecimal() and len(number) < 20 else -1
