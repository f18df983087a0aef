"""TensorBoard's event files. The only file that imports tensorboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .sink import Picture, Value


class EventFiles:
    """Scalars, pictures and hyperparameters as event files in `folder`. Each start of a run adds a file to the stream, which
    TensorBoard reads in order."""

    name = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.last = last_steps(folder)
        self._described = bool(self.last)
        self._writer: Any = SummaryWriter(str(folder), flush_secs=20)

    def settings(self, values: Mapping[str, Value], results: Sequence[str]) -> None:
        """Once for all starts: the plugin would list a second session."""
        if self._described:
            return
        experiment, begin, _ = hyperparameters(values, results)
        for summary in (experiment, begin):
            self._writer.file_writer.add_summary(summary)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, step)

    def picture(self, tag: str, picture: Picture, step: int) -> None:
        self._writer.add_image(tag, picture, step, dataformats="HWC")

    def flush(self) -> None:
        self._writer.flush()

    def finish(self, folder: Path, files: tuple[str, ...]) -> None:
        self._writer.flush()

    def close(self, status: str) -> None:
        if status == "finished":
            self._writer.file_writer.add_summary(hyperparameters({}, ())[2])
        self._writer.close()


def hyperparameters(values: Mapping[str, Value], results: Sequence[str]) -> tuple[Any, Any, Any]:
    """The summaries of the plugin: the experiment with the tags of its results, the begin and the end of a session."""
    from torch.utils.tensorboard.summary import hparams

    return hparams(dict(values), dict.fromkeys(results, 0.0))


def last_steps(folder: Path) -> dict[str, int]:
    """Tag → the last step of the event files in a folder; a file that a kill cut off is read as far as it goes."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    last: dict[str, int] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                last[value.tag] = max(last.get(value.tag, -1), event.step)
    return last
