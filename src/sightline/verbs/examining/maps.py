"""`explain` with images: which pixels does a score depend on? Maps, with their controls, as a page, a sheet and arrays."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import DataError, UsageError
from sightline.explanation.attribution.methods import DEFAULT, methods_named
from sightline.explanation.explaining import Explained, explain_image
from sightline.explanation.question import Choice
from sightline.explanation.subject import Refused
from sightline.inference.inputs import Inputs, Item
from sightline.inference.naming import safe_stem
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import MAIN, load_task, weights_file
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.rejection import Rejected
from sightline.reports.explained.content import Shown
from sightline.reports.explained.page import explanation_page
from sightline.reports.explained.sheet import contact_sheet
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.files import make_folder, replace_file
from sightline.storage.text import json_text, printable
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels, Target
from sightline.tasks.task import Task

PAGE, SHEET, ARRAYS, RECORD = "explanation.html", "explanation.png", "arrays", "explanation.json"


@dataclass(frozen=True)
class Explanations:
    """The folder that was written, and a row for each image: its explanations, or the error."""

    run: Path
    folder: Path
    rows: tuple[dict[str, Any], ...]

    @property
    def failed(self) -> int:
        return sum("error" in row for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "run": str(self.run), "folder": str(self.folder), "page": str(self.folder / PAGE),
            "sheet": str(self.folder / SHEET), "n": len(self.rows), "failed": self.failed, "images": list(self.rows),
        }  # fmt: skip


def explain_images(
    run: Run,
    images: str | Path | Sequence[str | Path],
    methods: str | None,
    choice: Choice,
    folder: Path,
    *,
    controls: bool,
    device: str,
    allow_network: bool,
    console: Console,
) -> Explanations:
    """Write the page, the sheet and the arrays into the folder. UsageError for an unknown method, and where the only one has no
    meaning for the network; DataError where no image can be read."""
    names = methods_named(methods or ",".join(DEFAULT))
    kind = kind_of(run)
    if kind.sensitivity is None:
        raise UsageError(f"a {kind.name} run has no score to explain", "use predict or report")
    inputs = Inputs([images] if isinstance(images, str | Path) else images, allow_network=allow_network)
    if inputs.moving:
        raise UsageError(
            "explain takes images, not videos or cameras", "save the frames as images and pass their folder"
        )
    items = inputs.first()
    make_folder(folder)
    make_folder(folder / ARRAYS)
    task, device = load_task(run), choose_device(device)
    task.to(device)
    rows: list[dict[str, Any]] = []
    shown: list[Shown] = []
    with compute_threads(run.recipe.fit.threads), repeatable(device):
        for number, item in enumerate(items):
            try:
                if item.error:
                    raise DataError(item.error)
                one = _explained(run, task, _file(item), names, choice, controls=controls, device=device)
            except Rejected as error:
                rows.append({"path": item.path, "error": f"{error.reason}: {error.detail}"})
            except DataError as error:
                rows.append({"path": item.path, "error": str(error)})
            else:
                shown.append(one)
                rows.append(_row(item.path, one, _write_arrays(run, folder, number, item, one)))
                console.say(f"{printable(item.path)}: {one.question.answer}, {len(one.explained)} methods")
    if note := inputs.skipped.note():
        console.say(note)
    if not shown:
        raise DataError(f"none of {len(rows)} images can be explained: {rows[0]['error']}", "pass other images")
    _require_some(shown)
    replace_file(folder / SHEET, contact_sheet(shown))
    replace_file(folder / PAGE, _page(run, shown).encode())
    result = Explanations(run.folder, folder, tuple(rows))
    replace_file(folder / RECORD, (json_text(result.to_json()) + "\n").encode())
    return result


def _file(item: Item) -> Path:
    """The file of an input that is no frame of a video."""
    assert isinstance(item.source, Path)
    return item.source


def _explained(
    run: Run, task: Task, file: Path, names: Sequence[str], choice: Choice, *, controls: bool, device: str
) -> Shown:
    kind, preprocessing = kind_of(run), run.preprocessing
    assert kind.sensitivity is not None
    pixels, frame, decoded = preprocessing.prepare(file)
    colours = decode(file, background=preprocessing.background, depth=preprocessing.depth).pixels
    height, width, _ = pixels.shape
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]  # (h, w, c) → (1, c, h, w)
    target: Target | None = kind.answers.unknown(height, width)
    batch = Batch.of_images(
        image,
        torch.tensor([[height, width]]),
        torch.from_numpy(frame)[None],
        torch.tensor([decoded.pixels.shape[:2]]),
        torch.tensor([0]),
        torch.tensor([0]),
        target if target is not None else Labels.of(torch.tensor([-1])),
    ).to(device)
    question = kind.sensitivity.ask(task, batch, choice, run.classes)
    explained, beside = explain_image(question.subject, batch.image.float(), question.target, names, controls=controls)
    return Shown(file.name, colours, frame, question, explained, beside)


def _require_some(shown: Sequence[Shown]) -> None:
    """Refused with the method's own reason where nothing is left."""
    explained = [one for each in shown for one in each.explained]
    if all(one.attribution is None for one in explained):
        raise Refused(explained[0].refusal, "choose another method, or all")


def _write_arrays(run: Run, folder: Path, number: int, item: Item, one: Shown) -> dict[str, str]:
    """Each method's values as .npy with a JSON beside it; returns the paths by method."""
    written = {}
    facts = {
        "image": item.path, "image_sha256": _sha256(_file(item)), "run": str(run.folder), "weights_sha256": weights_hash(run),
        "explained": one.question.score, "target": one.question.target, "answer": one.question.answer,
        "pixels": "0-255 units", "frame": one.frame.tolist(), "size": list(one.picture.shape[:2]),
    }  # fmt: skip
    for each in one.explained:
        if each.attribution is None:
            continue
        path = folder / ARRAYS / f"{number:05d}-{safe_stem(Path(item.path).stem)}.{each.method}.npy"
        stream = io.BytesIO()
        np.save(stream, each.attribution.values[0].cpu().float().numpy())
        replace_file(path, stream.getvalue())
        sidecar = {
            **facts, "method": each.method, "shape": list(each.attribution.values.shape[1:]), "unit": each.attribution.unit,
            "merging": each.attribution.merging, "signed": each.attribution.signed,
            "settings": dict(each.attribution.settings), "notes": list(each.attribution.notes),
            "array_sha256": hashlib.sha256(stream.getvalue()).hexdigest(),
        }  # fmt: skip
        replace_file(path.with_suffix(".json"), (json_text(sidecar) + "\n").encode())
        written[each.method] = str(path)
    return written


def _row(name: str, one: Shown, arrays: Mapping[str, str]) -> dict[str, Any]:
    return {
        "path": name,
        "explained": one.question.score,
        "answer": one.question.answer,
        "methods": {each.method: _facts(each, arrays.get(each.method)) for each in one.explained},
        "controls": {} if one.controls is None else {name: dict(areas) for name, areas in one.controls.areas.items()},
    }


def _facts(one: Explained, array: str | None) -> dict[str, Any]:
    if one.attribution is None:
        return {"refused": one.refusal}
    return {
        "array": array,
        "unit": one.attribution.unit,
        "settings": dict(one.attribution.settings),
        "notes": list(one.attribution.notes),
        "no_positive_evidence": one.without_evidence,
        "randomisation": [{"stage": s.name, "spearman": s.spearman, "ssim": s.ssim} for s in one.stages],
        "ignores_the_head": one.ignores_the_head,
        "areas": {fill: dict(areas) for fill, areas in one.areas.items()},
    }


def _page(run: Run, shown: Sequence[Shown]) -> str:
    facts = [
        ("weights", weights_hash(run)[:16] or "unknown"),
        ("baselines and fills", "in 0-255 units, in the JSON files"),
    ]
    return explanation_page(shown, run=run.folder.name, model=str(run.recipe.model.name), facts=facts)


def weights_hash(run: Run) -> str:
    path = run.folder / weights_file(MAIN)
    return _sha256(path) if path.is_file() else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
