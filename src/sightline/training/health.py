"""`diagnosis/health.jsonl`: a line for each sampled step with the health of every layer. It is cut back to the checkpoint
that a run resumes from, as `metrics.jsonl` is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from sightline.engine.health.layers import LayerHealth, weighted_layers
from sightline.engine.state import State
from sightline.evaluation.diagnosis.stored import FOLDER
from sightline.storage.files import make_folder
from sightline.storage.logs import Log, try_append
from sightline.storage.text import json_text


class HealthLog:
    """The layers of a training, and their log. A compiled network is not watched: hooks would compile it again."""

    name = f"{FOLDER}/health.jsonl"

    def __init__(self, folder: Path, networks: Mapping[str, nn.Module], steps: int, *, compiled: bool) -> None:
        make_folder(folder / FOLDER)
        self.log = Log(folder / self.name)
        self._layers = LayerHealth({} if compiled else weighted_layers(networks), steps)
        self.every = self._layers.every

    def prepare(self, step: int) -> None:
        """Before the step after `step`."""
        self._layers.prepare(step)

    def record(self, state: State) -> None:
        """An action of the loop. A full disk must not end a training, and costs these lines only."""
        sample = self._layers.record(state.step)
        if sample is not None:
            try_append(self.log, json_text(sample, indent=None) + "\n")

    def close(self) -> None:
        """Remove the hooks of a step that was prepared and not taken."""
        self._layers.forget()
