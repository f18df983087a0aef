"""`explain` with images: which pixels does a score depend on? Maps, with their controls, as a page, a sheet and arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import DataError, UsageError
from sightline.explanation.attribution.methods import DEFAULT, methods_named
from sightline.explanation.explain import EFFORTS, Level
from sightline.explanation.question import Choice
from sightline.explanation.results import sanity_of
from sightline.explanation.subject import Refused
from sightline.inference.explainer import Explainer, file_of
from sightline.inference.inputs import Inputs, Item
from sightline.inference.naming import safe_stem
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import MAIN, load_task, weights_file
from sightline.reports.explanation.content import Entry
from sightline.reports.explanation.page import explanation_page
from sightline.reports.explanation.record import row_of, sanity_facts, write_arrays
from sightline.reports.explanation.sheet import contact_sheet
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.files import make_folder, replace_file
from sightline.storage.text import json_text

GROUP = 8  # images that share passes
BRISK = {"integrated_gradients": {"steps": 25, "most": 75}}  # where nobody named the method
PAGE, SHEET, ARRAYS, RECORD = "explanation.html", "explanation.png", "arrays", "explanation.json"


@dataclass(frozen=True)
class Explanations:
    """The folder that was written, a row for each image (its explanations, or the error), and what randomising the head says of
    each method over all images."""

    run: Path
    folder: Path
    rows: tuple[dict[str, Any], ...]
    sanity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return sum("error" in row for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {
            "run": str(self.run), "folder": str(self.folder), "page": str(self.folder / PAGE),
            "sheet": str(self.folder / SHEET), "n": len(self.rows), "failed": self.failed, "sanity": dict(self.sanity),
            "images": list(self.rows),
        }  # fmt: skip


def explain_images(
    run: Run,
    images: str | Path | Sequence[str | Path],
    methods: str | None,
    choice: Choice,
    folder: Path,
    *,
    controls: Level,
    device: str,
    allow_network: bool,
    console: Console,
) -> Explanations:
    """Write the page, the sheet and the arrays into the folder. UsageError for an unknown method, and where the only one has no
    meaning for the network; DataError where no image can be read."""
    names = DEFAULT if methods is None else methods_named(methods)
    if controls not in EFFORTS:
        raise UsageError(f"controls is {controls!r}", f"use one of {', '.join(EFFORTS)}")
    if kind_of(run).sensitivity is None:
        raise UsageError(f"a {kind_of(run).name} run has no score to explain", "use predict or report")
    inputs = Inputs([images] if isinstance(images, str | Path) else images, allow_network=allow_network)
    if inputs.moving:
        raise UsageError(
            "explain takes images, not videos or cameras", "save the frames as images and pass their folder"
        )
    items = list(inputs.first())
    make_folder(folder)
    make_folder(folder / ARRAYS)
    device = choose_device(device)
    work = Explainer(
        run, load_task(run).to(device), names, choice, EFFORTS[controls], {} if methods else BRISK, device, console
    )
    rows: list[dict[str, Any]] = []
    entries: list[Entry] = []
    with compute_threads(run.recipe.fit.threads), repeatable(device), console.working("explaining"):
        for start in range(0, len(items), GROUP):
            for number, (item, entry) in enumerate(work.entries(items[start : start + GROUP], len(items)), start):
                if isinstance(entry, str):
                    rows.append({"path": item.path, "error": entry})
                    continue
                entries.append(entry)
                stem = folder / ARRAYS / f"{number:05d}-{safe_stem(Path(item.path).stem)}"
                rows.append(row_of(item.path, entry, write_arrays(stem, entry, _sources(run, item))))
    if note := inputs.skipped.note():
        console.say(note)
    if not entries:
        raise DataError(f"none of {len(rows)} images can be explained: {rows[0]['error']}", "pass other images")
    _require_some(entries)
    with console.working("writing the page"):
        replace_file(folder / SHEET, contact_sheet(entries))
        replace_file(folder / PAGE, _page(run, entries).encode())
    result = Explanations(run.folder, folder, tuple(rows), sanity_facts(sanity_of([e.explanations for e in entries])))
    replace_file(folder / RECORD, (json_text(result.to_json()) + "\n").encode())
    return result


def _require_some(entries: Sequence[Entry]) -> None:
    """Refused with the method's own reason where nothing is left."""
    explanations = [one for entry in entries for one in entry.explanations]
    if all(one.attribution is None for one in explanations):
        raise Refused(explanations[0].refusal, "choose another method, or all")


def _sources(run: Run, item: Item) -> dict[str, str]:
    """Where an array comes from, with hashes."""
    return {
        "image": item.path,
        "image_sha256": _sha256(file_of(item)),
        "run": str(run.folder),
        "weights_sha256": weights_hash(run),
    }


def _page(run: Run, entries: Sequence[Entry]) -> str:
    facts = [
        ("weights", weights_hash(run)[:16] or "unknown"),
        ("baselines and fills", "in 0-255 units, in the JSON files"),
    ]
    return explanation_page(entries, run=run.folder.name, model=str(run.recipe.model.name), facts=facts)


def weights_hash(run: Run) -> str:
    path = run.folder / weights_file(MAIN)
    return _sha256(path) if path.is_file() else ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
