"""A run folder. Verbs are functions on it.

It holds everything that is needed to repeat the run; only `timing.jsonl`, `speed.json` and `log.txt` contain times and paths.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError, UsageError
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.reading import make_recipe, parse_yaml
from sightline.recipes.recipe import Recipe
from sightline.storage.files import replace_file
from sightline.storage.folders import digest
from sightline.storage.reading import MAX_JSON, hash_regular, parse_json, read_file, reason_of
from sightline.storage.schema import Fields, brief
from sightline.storage.text import json_text
from sightline.version import __version__

FORMAT = 1
TIMING = "timing.jsonl"
_INCOMPLETE = "is the run complete? see `sightline verify`"
FACTS = "task.json"  # what a task knows beside its weights: the scale of a target, a threshold
SEALED_INPUTS = {
    "data.json",
    "preprocessing.json",
    FACTS,
}  # predictions depend on these, besides the recipe and the weights
SEAL = "manifest.json"  # hashes of the final files; written last
MAX_WEIGHTS = 1 << 36  # bytes of the largest file of a run
_LONGEST = 1e10  # seconds of one segment of training


@dataclass(frozen=True)
class Run:
    """One run folder. Open one with `open_run`."""

    folder: Path
    written: dict[str, str] = field(default_factory=dict, compare=False, repr=False)  # file → SHA-256 as it was written

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object of the run. Raises DamagedError when it is missing or broken."""
        path = self.folder / name
        data = self.sealed_bytes(name) if name in SEALED_INPUTS else read_file(path, MAX_JSON, hint=_INCOMPLETE)
        value = parse_json(data, str(path), hint=_INCOMPLETE)
        if not isinstance(value, dict):
            raise DamagedError(f"{path} cannot be read: it is not a JSON object", _INCOMPLETE)
        return value

    def fields(self, name: str) -> Fields:
        """The same, for values that are checked as they are taken."""
        return Fields(self.read_json(name), str(self.folder / name), hint=_INCOMPLETE)

    def write(self, name: str, data: bytes) -> None:
        """Replace a file of the run, and remember its hash for the seal."""
        replace_file(self.folder / name, data)
        self.written[name] = digest(data)

    def record(self, name: str) -> None:
        """Remember the hash of a file that something else has just written."""
        try:
            self.written[name] = hash_regular(self.folder / name)[1]
        except OSError as error:
            raise DamagedError(f"{self.folder / name} cannot be read: {reason_of(error)}") from error

    def write_json(self, name: str, value: Any) -> None:
        self.write(name, (json_text(value) + "\n").encode())

    def note(self, **values: Any) -> None:
        """Update keys of run.json."""
        path = self.folder / "run.json"
        before = self.read_json("run.json") if os.path.lexists(path) else {"format": FORMAT, "version": __version__}
        self.write_json("run.json", before | values)

    @property
    def status(self) -> dict[str, Any]:
        return self.read_json("run.json")

    @property
    def finished(self) -> bool:
        """Whether the run is trained, evaluated, reported and sealed; one that was killed before that can be resumed."""
        return self.status.get("status") == "finished" and (self.folder / SEAL).is_file()

    def identity(self) -> dict[str, Any]:
        """The hashes of recipe and data, which every checkpoint carries."""
        status = self.fields("run.json")
        return {key: status.digest(key) for key in ("recipe", "data")}

    @property
    def recipe(self) -> Recipe:
        path = self.folder / "recipe.yaml"
        try:
            text = self.sealed_bytes("recipe.yaml").decode("utf-8")
        except UnicodeDecodeError as error:
            raise DamagedError(f"{path} cannot be read: {error}") from error
        try:
            values = parse_yaml(text, str(path))
            if not isinstance(values, dict):
                raise UsageError("it has no sections")
            return make_recipe(values)
        except UsageError as error:
            raise DamagedError(f"{path} is not a recipe of this version: {error}") from error

    @property
    def classes(self) -> tuple[str, ...]:
        data = self.fields("data.json")
        classes = data.texts("classes")
        if len(set(classes)) != len(classes):
            raise data.wrong("classes", "names a class twice")
        return tuple(classes)

    @property
    def preprocessing(self) -> Preprocessing:
        stored, shape = Preprocessing.from_json(self.read_json("preprocessing.json")), self.recipe.input
        geometry, pixels = stored.geometry, shape.shape
        if self.fields("run.json").flag("smoke"):  # a rehearsal of pixels or boxes has smaller inputs than its recipe
            pixels = (pixels[0], geometry.height, geometry.width)
        if (stored.channels, geometry.height, geometry.width, geometry.fit) != (*pixels, shape.fit):
            raise DamagedError(
                f"{self.folder / 'preprocessing.json'} is of another input than recipe.yaml", "restore both files"
            )
        return stored

    @property
    def metrics(self) -> dict[str, Any]:
        """metrics.json, whose splits hold finite numbers and nulls."""
        stored = self.fields("metrics.json")
        for split in ("train", "val", "test"):
            if stored.raw(split) is not None:
                values = stored.fields(split)
                for name, value in values.values.items():
                    if value is not None:
                        values.real(name)
        return dict(stored.values)

    def timing(self) -> tuple[float, float | None]:
        """(seconds of training, images per second) over all segments; broken lines are skipped."""
        seconds, images = 0.0, 0
        path = self.folder / TIMING
        for line in read_file(path, MAX_JSON).splitlines() if os.path.lexists(path) else ():
            try:
                segment = Fields(parse_json(line, TIMING), TIMING)
                took, seen = segment.real("seconds", 0, _LONGEST), segment.whole("images")
            except DamagedError:
                continue
            seconds, images = seconds + took, images + seen
        return seconds, images / seconds if seconds else None

    def summary(self) -> dict[str, Any]:
        """The JSON of `train --json`."""
        status, metrics, (seconds, rate) = self.fields("run.json"), self.metrics, self.timing()
        return {
            "run": str(self.folder),
            "task": status.text("task"),
            "model": self.recipe.model.name,
            "steps": status.whole("step"),
            "seconds": seconds,
            "images_per_second": rate,
            "stopped": None if status.raw("stopped") is None else status.text("stopped"),
            "smoke": status.flag("smoke"),
            "val": metrics["val"],
            "test": metrics["test"],
        }

    def sealed_bytes(self, name: str) -> bytes:
        """A file's bytes. DamagedError if they differ from those in the seal."""
        path = self.folder / name
        data = read_file(path, MAX_WEIGHTS, hint=_INCOMPLETE)
        if os.path.lexists(self.folder / SEAL):
            sealed = self.fields(SEAL).fields("files").values.get(name)
            if sealed != {"bytes": len(data), "sha256": digest(data)}:
                raise changed(path)
        return data


def changed(path: Path, hint: str = "restore it; see `sightline verify`") -> DamagedError:
    return DamagedError(f"{path} has been modified since it was written", hint)


def open_run(path: str | Path) -> Run:
    """The run in the folder `path`. Raises UsageError if there is none, DamagedError if it is newer or broken."""
    folder = Path(path)
    if not os.path.isfile(folder / "run.json"):
        raise UsageError(f"{folder} is not a run", "name a folder that `sightline train` wrote, with a run.json")
    run = Run(folder)
    status = run.status
    if not isinstance(status, dict) or status.get("format") != FORMAT:
        number = status.get("format") if isinstance(status, dict) else status
        raise DamagedError(
            f"{folder} has run format {brief(number)}; this version reads {FORMAT}", "install a newer sightline"
        )
    return run
