"""What a program reads of an explanation: a row for each image, and beside each array the facts without which it is noise."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sightline.explanation.attribution.segmentation import overlap
from sightline.explanation.controls.sanity import Sanity
from sightline.explanation.results import Explanation
from sightline.storage.files import replace_file
from sightline.storage.text import json_text

from .content import Entry


def write_arrays(stem: Path, entry: Entry, facts: Mapping[str, Any]) -> dict[str, str]:
    """Each method's values as STEM.<method>.npy with a JSON beside it; returns the paths by method."""
    facts = {
        **facts, "explained": entry.question.score, "target": entry.question.target, "answer": entry.question.answer,
        "pixels": "0-255 units", "frame": entry.frame.tolist(), "size": list(entry.picture.shape[:2]),
    }  # fmt: skip
    written = {}
    for one in entry.explanations:
        attribution = one.attribution
        if attribution is None:
            continue
        path = stem.with_name(f"{stem.name}.{one.method}.npy")
        stream = io.BytesIO()
        np.save(stream, attribution.values[0].cpu().float().numpy())
        replace_file(path, stream.getvalue())
        sidecar = {
            **facts, "method": one.method, "shape": list(attribution.values.shape[1:]), "unit": attribution.unit,
            "merging": attribution.merging, "signed": attribution.signed, "settings": dict(attribution.settings),
            "notes": list(attribution.notes), "array_sha256": hashlib.sha256(stream.getvalue()).hexdigest(),
        }  # fmt: skip
        replace_file(path.with_suffix(".json"), (json_text(sidecar) + "\n").encode())
        written[one.method] = str(path)
    return written


def row_of(name: str, entry: Entry, arrays: Mapping[str, str]) -> dict[str, Any]:
    """One image."""
    controls = entry.controls
    return {
        "path": name,
        "explained": entry.question.score,
        "answer": entry.question.answer,
        "methods": {
            one.method: _facts(one, arrays.get(one.method)) | _agreement(entry, one) for one in entry.explanations
        },
        "controls": {} if controls is None else {name: dict(areas) for name, areas in controls.areas.items()},
    }


def _facts(one: Explanation, array: str | None) -> dict[str, Any]:
    if one.attribution is None:
        return {"refused": one.refusal}
    return {
        "array": array,
        "unit": one.attribution.unit,
        "settings": dict(one.attribution.settings),
        "notes": list(one.attribution.notes),
        "no_positive_evidence": one.without_evidence,
        "randomisation": [{"stage": s.name, "spearman": list(s.spearman), "ssim": s.ssim} for s in one.stages],
        "areas": {fill: dict(areas) for fill, areas in one.areas.items()},
    }


def _agreement(entry: Entry, one: Explanation) -> dict[str, float]:
    """The IoU of a segmentation with the region or the box in question, where there is one."""
    question = entry.question
    if one.method != "graph_cut" or one.attribution is None:
        return {}
    mask = one.attribution.map[0].cpu().numpy() > 0
    if question.region is not None:
        return {"iou_with_region": overlap(mask, question.region)}
    if question.box is None:
        return {}
    left, top, right, bottom = (round(edge) for edge in question.box)
    inside = np.zeros(mask.shape, dtype=bool)
    inside[max(0, top) : bottom, max(0, left) : right] = True
    return {"iou_with_box": overlap(mask, inside)}


def sanity_facts(found: Mapping[str, Sanity]) -> dict[str, Any]:
    """What randomising the head says of each method, over all images."""
    return {
        method: {
            "spearman": one.spearman, "range": [one.low, one.high], "images": one.images, "draws": one.draws,
            "verdict": one.verdict,
        }
        for method, one in found.items()
    }  # fmt: skip
