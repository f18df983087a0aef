"""When are two predictions for one image the same? For classes, for pixels, for boxes with or without masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.decoding.run_lengths import from_run_lengths

from .plan import Difference, Row

TOLERANCE = 1e-4  # of logits, probabilities and scores
SMALLEST_IOU = 0.999  # of a box, and of its mask where that has more than a thousand pixels
_PIXELS = 1e-4  # share of pixels whose two best classes may be exchanged: their scores are equal within the tolerance
_FEW = 8  # pixels, in images so small that this is more
_CORNER = 1e-3  # pixels
_NEAR = 1e-3  # scores so near a threshold fall on either side of it


def class_difference(expected: Row, found: Row, settings: Mapping[str, Any]) -> Difference:
    """The same label, and probabilities within the tolerance."""
    if expected["label"] != found["label"]:
        return Difference(1.0, f"{found['label']!r} instead of {expected['label']!r}")
    known = dict(found["top"])
    worst = max(abs(p - known.get(name, p)) for name, p in expected["top"])  # the last of the top may be exchanged
    return Difference(worst, f"a probability differs by {worst:.2g}" if worst > TOLERANCE else "")


def label_difference(expected: Row, found: Row, settings: Mapping[str, Any]) -> Difference:
    """The same labels, but for those at the threshold, and probabilities within the tolerance."""
    known = dict(found["top"]) | found["labels"]
    own = dict(expected["top"]) | expected["labels"]
    for name in set(expected["labels"]) ^ set(found["labels"]):
        p = own.get(name, known.get(name, 1.0))
        if abs(p - float(settings["threshold"])) > TOLERANCE:
            return Difference(1.0, f"the label {name!r} of probability {p:.4f} is given by one of the two only")
    worst = max(abs(p - known.get(name, p)) for name, p in own.items())
    return Difference(worst, f"a probability differs by {worst:.2g}" if worst > TOLERANCE else "")


def number_difference(expected: Row, found: Row, settings: Mapping[str, Any]) -> Difference:
    """Values within the tolerance, in units of the training images' standard deviation."""
    scale = zip(expected["values"].items(), settings["std"], strict=True)
    worst = max(abs(value - found["values"][name]) / std for (name, value), std in scale)
    return Difference(worst, f"a value differs by {worst:.2g} standard deviations" if worst > TOLERANCE else "")


def vector_difference(expected: Row, found: Row, settings: Mapping[str, Any]) -> Difference:
    """The same nearest identity, but for those equally near and for one at the threshold, and vectors and distances within the
    tolerance."""
    known = dict(found["nearest"])
    gaps = [abs(distance - known.get(name, distance)) for name, distance in expected["nearest"]]
    gaps += [abs(a - b) for a, b in zip(expected["vector"], found["vector"], strict=True)]
    worst, reason = max(gaps), ""
    if expected["label"] != found["label"]:
        ends = [expected["distance"] - end for end in (expected["threshold"], *known.values()) if end is not None]
        if not any(abs(gap) <= TOLERANCE for gap in ends[:1] + sorted(ends[1:], key=abs)[1:2]):
            reason = f"{found['label']!r} instead of {expected['label']!r}"
    return Difference(worst, reason or (f"a distance differs by {worst:.2g}" if worst > TOLERANCE else ""))


def answer_difference(expected: Row, found: Row, settings: Mapping[str, Any]) -> Difference:
    """The same answer to each question: as for a class, for labels, or for a number in units of its standard deviation."""
    worst = 0.0
    for name, own in expected["answers"].items():
        other = found["answers"][name]
        if "value" in own:
            numbers = {"values": {name: own["value"]}}, {"values": {name: other["value"]}}
            difference = number_difference(*numbers, {"std": [settings["std"][name]]})
        elif "label" in own:
            difference = class_difference(own, other, settings)
        else:
            difference = label_difference(own, other, own)
        if difference.reason:
            return Difference(difference.figure, f"{name}: {difference.reason}")
        worst = max(worst, difference.figure)
    return Difference(worst, "")


def pixel_difference(expected: Row, found: Row, settings: Mapping[str, Any]) -> Difference:
    """The same class at every pixel, ties aside."""
    if expected["pixels"].shape != found["pixels"].shape:
        return Difference(1.0, f"a mask of {found['pixels'].shape} instead of {expected['pixels'].shape}")
    differ = int((expected["pixels"] != found["pixels"]).sum())
    share = differ / expected["pixels"].size
    named = set(expected["shares"]) ^ set(found["shares"])
    if differ > max(_FEW, _PIXELS * expected["pixels"].size) or (named and differ == 0):
        return Difference(share, f"{differ:,} pixels have another class")
    return Difference(share, "")


def box_difference(expected: Row, found: Row, settings: Mapping[str, Any]) -> Difference:
    """Every box has a partner of the same class, with an IoU of 0.999 and the same score. Boxes may be missing that lie at the
    score threshold, or at the end of a full list. The figure is 1 - IoU of the worst pair."""
    worst = 0.0
    for mine, others, word in ((expected, found, "missing"), (found, expected, "added")):
        floor = _floor(others["boxes"], settings)
        for box in mine["boxes"]:
            partner = _partner(box, others["boxes"])
            if partner is None:
                if box["score"] > floor:
                    return Difference(1.0, f"{word}: {box['label']} of score {box['score']:.4f} at {box['xyxy']}")
                continue
            worst = max(worst, 1 - _iou(box["xyxy"], partner["xyxy"]))
            if "rle" in box and (reason := _mask_reason(box["rle"], partner["rle"])):
                return Difference(1.0, f"{box['label']} of score {box['score']:.4f}: {reason}")
    return Difference(worst, "")


def _floor(boxes: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> float:
    full = len(boxes) >= settings["limit"]
    return (min(box["score"] for box in boxes) if full else settings["score"]) + _NEAR


def _partner(box: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    near = [
        other for other in others if other["label"] == box["label"] and abs(other["score"] - box["score"]) <= TOLERANCE
    ]
    best = max(near, key=lambda other: _iou(box["xyxy"], other["xyxy"]), default=None)
    return best if best is not None and _iou(box["xyxy"], best["xyxy"]) >= SMALLEST_IOU else None


def _iou(a: Sequence[float], b: Sequence[float]) -> float:
    """1 for boxes whose corners are equal up to a thousandth of a pixel: one beside the image has been cut to a line."""
    if max(abs(x - y) for x, y in zip(a, b, strict=True)) <= _CORNER:
        return 1.0
    wide, tall = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    shared = max(wide, 0.0) * max(tall, 0.0)
    whole = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - shared
    return shared / whole if whole > 0 else 0.0


def _mask_reason(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Why two masks differ: more than a thousandth of their pixels, and more than one."""
    if a == b:
        return ""
    masks = [from_run_lengths((one["counts"].encode(),), tuple(one["size"]))[0] for one in (a, b)]
    if masks[0].shape != masks[1].shape:
        return "its mask has another size"
    differ, union = int((masks[0] ^ masks[1]).sum()), int((masks[0] | masks[1]).sum())
    return f"{differ:,} of {union:,} pixels of its mask differ" if differ > max(1, (1 - SMALLEST_IOU) * union) else ""
