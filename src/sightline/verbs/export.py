"""export: a run's networks as files for other programs, proved equal to the run before they are written."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn

from sightline.data.loaders import Images, in_order
from sightline.errors import SightlineError, UsageError, nearest
from sightline.exports.assemble import Request, export_folder, export_reduced
from sightline.exports.measuring import Validation
from sightline.exports.parity import IMAGES, Reference
from sightline.exports.plan import Export, Row, Shape
from sightline.exports.reduced import CALIBRATION, require_possible
from sightline.exports.web_runtime import web_runtime as find_web_runtime
from sightline.inference.answering import answers_of
from sightline.inference.operating import operating_score
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import MAIN, config_file, load_task
from sightline.kinds.opening import open_dataset, require_there, same_data
from sightline.kinds.pretrained import open_run_or_model
from sightline.models.own import Builder
from sightline.recipes.loading import choose
from sightline.reports.parts.start import trained_on
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.runtime.model import Source
from sightline.storage.files import make_folder
from sightline.storage.folders import digest
from sightline.tasks.task import Task

TARGETS = ("onnx", "openvino", "html", "torch")
PRECISIONS = ("fp32", "bf16", "int8")


def export(
    run: Run | str | Path,
    *,
    to: str = "onnx",
    precision: str = "fp32",
    out: str | Path | None = None,
    web_runtime: str | Path | None = None,
    allow_network: bool = False,
    model: str | nn.Module | Builder | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Export a run's networks, or a published one by its name; returns the facts of export.json, with the folder.

    to             "onnx" or "openvino"; "html" is ONNX with a page that predicts in a browser; "torch" is a program of
                   torch.export for programs of your own
    precision      "fp32"; "bf16" or "int8", if they are much faster and hardly worse on the validation images
    out            the folder to write; RUN/exports/<to>-<precision> by default
    web_runtime    the folder of the unpacked npm package onnxruntime-web, for "html"; the cache by default
    allow_network  fetch that package if the cache does not have it
    model          the network where it is code of your own, as it was given to `train`

    UsageError for what cannot be exported; CheckError if the export predicts anything else than the run, and then nothing
    is written.
    """
    run, console = run if isinstance(run, Run) else open_run_or_model(run, model), console or Console()
    _require(to, TARGETS, "--to")
    _require(precision, PRECISIONS, "--precision")
    folder = _place(run, out, f"{to}-{precision}")
    task = load_task(run)
    plan = _plan(run, task)
    if to == "html" and not plan.page:
        raise UsageError(f"{run.folder} cannot be shown on a page yet: {run.recipe.task.kind}", "use --to onnx")
    web = find_web_runtime(web_runtime, allow_network=allow_network) if to == "html" else None
    if precision != "fp32":
        require_possible(to, precision)
    sources, origin = _images(run, console)
    reference = Reference(sources, origin, run.preprocessing, _rows(run, task, sources), run.classes)
    request = Request(task, plan, _shape(run), reference, _facts(run, to, precision), _licence(run), console, web)
    make_folder(folder.parent)
    if precision == "fp32":
        facts = export_folder(request, to, folder)  # type: ignore[arg-type]
    else:
        calibration, validation = _measured_on(run)
        facts = export_reduced(request, to, precision, folder, calibration, validation)  # type: ignore[arg-type]
    parity = facts["parity"]
    console.say(
        f"{parity['images']} images ({origin}) in batches of {', '.join(map(str, parity['batches']))}: "
        f"logits differ by at most {parity['max_logit_difference']:.2g}, predictions agree"
    )
    return {"folder": str(folder), **facts}


def _require(value: str, known: Sequence[str], option: str) -> None:
    if value not in known:
        raise UsageError(f"{option} {value} is unknown", nearest(value, known))


def _place(run: Run, out: str | Path | None, name: str) -> Path:
    folder = run.folder / "exports" / name if out is None else Path(out)
    if folder.exists():
        raise UsageError(f"{folder} exists", "remove it, or choose another --out")
    return folder


def _plan(run: Run, task: Task) -> Export:
    kind = kind_of(run)
    plan = kind.export_of(task)
    if plan is None:
        raise UsageError(f"{run.folder} cannot be exported: {kind.name} has no graph for it", "use `sightline predict`")
    return plan


def _shape(run: Run) -> Shape:
    return run.preprocessing.shape


def _images(run: Run, console: Console) -> tuple[list[Source], str]:
    """The images on which the export is proved, and where they are from: the run's own, as they are stored."""
    try:
        require_there(run.recipe, "it is only needed for real images")
        data = open_dataset(run.recipe, Console(level=-2), whole=True)
    except SightlineError as error:
        console.warn(f"checked on synthetic images only: {error.message}")
        return _synthetic(run), "synthetic"
    ids = choose(data.ids(), IMAGES).tolist()
    stored = (data.audit.source.load(data.records[i]) for i in ids)
    return [_encoded(one) if isinstance(one, np.ndarray) else one for one in stored], "the run's data"


def _measured_on(run: Run) -> tuple[list[np.ndarray], Validation]:
    """Training images (1, c, h, w) for calibration, and the validation images: the test split where there is no other."""
    recipe, kind = run.recipe, kind_of(run)
    require_there(recipe, "reduced precision is measured on the run's data")
    data = open_dataset(recipe, Console(level=-2))
    same_data(run, data)
    split = next((name for name in ("val", "test") if len(data.ids(name))), None)
    if split is None or kind.scoring is None:
        raise UsageError("the run has no validation images to measure a reduced precision on", "use --precision fp32")

    def images(ids: np.ndarray, judging: bool) -> Images:
        return kind.load(data, ids, run.preprocessing, recipe, truths=kind.truths, judging=judging)

    train = images(choose(data.ids("train"), CALIBRATION), judging=False)
    calibration = [np.ascontiguousarray(batch.image.numpy()) for batch in in_order(train, 1)]
    metric = recipe.fit.monitor if recipe.fit.monitor in kind.scoring.monitors else kind.scoring.headline
    return calibration, Validation(images(data.ids(split), judging=True), split, metric or kind.scoring.headline)


def _encoded(pixels: np.ndarray) -> bytes:
    """Pixels from memory as a PNG file, so that they pass the reader too."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


def _synthetic(run: Run) -> list[Source]:
    """Smooth noise of many sizes."""
    random, geometry = np.random.default_rng(0), run.preprocessing.geometry
    images: list[Source] = []
    for _ in range(IMAGES):
        height, width = (int(side * random.uniform(0.6, 1.7)) + 1 for side in (geometry.height, geometry.width))
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        images.append(_encoded(np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))))
    return images


def _rows(run: Run, task: Task, sources: Sequence[Source]) -> list[Row]:
    """The run's own predictions, with the mask of each image as "pixels" where there are masks."""
    masks: dict[int, np.ndarray] = {}

    def keep(place: int, mask: np.ndarray) -> None:
        masks[place] = mask

    rows = answers_of(run, task, sources, keep, "cpu")
    return [{**row, "pixels": masks[i]} if i in masks else row for i, row in enumerate(rows)]


def _facts(run: Run, to: str, precision: str) -> dict[str, Any]:
    status = run.status
    score = operating_score(run, kind_of(run))
    return {
        "name": status.get("name", run.folder.name),
        "task": status["task"],
        "model": run.recipe.model.name,
        "to": to,
        "precision": precision,
        "threshold": None if score is None else score[0],
        "run": run_facts(run),
    }


def run_facts(run: Run) -> dict[str, Any]:
    """Hashes that tell from which run a file was exported."""
    status, weights = run.status, run.folder / f"model/{MAIN}.safetensors"
    return {
        "recipe": status.get("recipe"),
        "data": status.get("data"),
        "weights": digest(weights.read_bytes()) if weights.is_file() else None,
    }


def _licence(run: Run) -> str:
    """What is known of the terms of the weights."""
    path = run.folder / config_file(MAIN)
    start = run.read_json(config_file(MAIN)).get("weights") if path.is_file() else None
    lines = ["These weights were trained by sightline on data whose terms only their owner knows."]
    if start:
        lines.append(f"The training began with the weights {start.get('name') or start.get('path')}.")
        lines.append(f"Licence of those weights: {start.get('licence') or 'none is recorded'}.")
        if data := trained_on(start):
            lines.append(f"Those weights were trained on {data}, whose terms are another matter.")
    return "\n".join(lines) + "\n"
