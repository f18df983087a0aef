"""A run folder. Verbs are functions on it.

It holds everything that is needed to repeat the run; only `timing.jsonl` and `log.txt` contain times and paths.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError, UsageError
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.reading import make_recipe, parse_yaml
from sightline.recipes.recipe import Recipe
from sightline.storage.files import replace_file
from sightline.storage.folders import digest
from sightline.storage.text import json_text
from sightline.version import __version__

FORMAT = 1
TIMING = "timing.jsonl"
_INCOMPLETE = "is the run complete? see `sightline verify`"
SEALED_INPUTS = {"data.json", "preprocessing.json"}  # predictions depend on these, besides the recipe and the weights
SEAL = "manifest.json"  # hashes of the final files; written last


@dataclass(frozen=True)
class Run:
    """One run folder. Open one with `open_run`."""

    folder: Path

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object of the run. Raises DamagedError when it is missing or broken."""
        path = self.folder / name
        try:
            value = json.loads(self.sealed_bytes(name) if name in SEALED_INPUTS else path.read_bytes())
            if not isinstance(value, dict):
                raise ValueError("it is not a JSON object")
            return value
        except (OSError, ValueError, RecursionError) as error:
            raise DamagedError(f"{path} cannot be read: {error}", _INCOMPLETE) from error

    def write_json(self, name: str, value: Any) -> None:
        replace_file(self.folder / name, (json_text(value) + "\n").encode())

    def note(self, **values: Any) -> None:
        """Update keys of run.json."""
        path = self.folder / "run.json"
        before = self.read_json("run.json") if path.exists() else {"format": FORMAT, "version": __version__}
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
        return {key: self.status[key] for key in ("recipe", "data")}

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
        classes = self.read_json("data.json").get("classes")
        if not isinstance(classes, list):
            raise DamagedError(f"{self.folder / 'data.json'} lists no classes")
        return tuple(classes)

    @property
    def preprocessing(self) -> Preprocessing:
        return Preprocessing.from_json(self.read_json("preprocessing.json"))

    @property
    def metrics(self) -> dict[str, Any]:
        return self.read_json("metrics.json")

    def timing(self) -> tuple[float, float | None]:
        """(seconds of training, images per second) over all segments; broken lines are skipped."""
        seconds, images = 0.0, 0
        path = self.folder / TIMING
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                segment = json.loads(line)
                seconds, images = seconds + float(segment["seconds"]), images + int(segment["images"])
            except (ValueError, KeyError, TypeError):
                continue
        return seconds, images / seconds if seconds else None

    def summary(self) -> dict[str, Any]:
        """The JSON of `train --json`."""
        status, metrics, (seconds, rate) = self.status, self.metrics, self.timing()
        return {
            "run": str(self.folder),
            "task": status["task"],
            "model": self.recipe.model.name,
            "steps": status["step"],
            "seconds": seconds,
            "images_per_second": rate,
            "stopped": status["stopped"],
            "smoke": status["smoke"],
            "val": metrics["val"],
            "test": metrics["test"],
        }

    def sealed_bytes(self, name: str) -> bytes:
        """A file's bytes. DamagedError if they differ from those in the seal."""
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DamagedError(f"{path} cannot be read: {error}", _INCOMPLETE) from error
        if (self.folder / SEAL).exists():
            files = self.read_json(SEAL).get("files")
            if not isinstance(files, dict):
                raise DamagedError(f"{self.folder / SEAL} lists no files", _INCOMPLETE)
            if files.get(name) != {"bytes": len(data), "sha256": digest(data)}:
                raise DamagedError(
                    f"{path} has been modified since it was written", "restore it; see `sightline verify`"
                )
        return data


def open_run(path: str | Path) -> Run:
    """The run in the folder `path`. Raises UsageError if there is none, DamagedError if it is newer or broken."""
    folder = Path(path)
    if not (folder / "run.json").is_file():
        raise UsageError(f"{folder} is not a run", "name a folder that `sightline train` wrote, with a run.json")
    run = Run(folder)
    status = run.status
    if not isinstance(status, dict) or status.get("format") != FORMAT:
        number = status.get("format") if isinstance(status, dict) else status
        raise DamagedError(
            f"{folder} has run format {number!r}; this version reads {FORMAT}", "install a newer sightline"
        )
    return run
