"""COCO's twelve numbers (Lin et al. 2014, arXiv:1405.0312) from detection rows, computed by faster-coco-eval.

ap is the mean over classes and over the IoU thresholds .5, .55 ... .95 of the 101-point average precision; ap50 and
ap75 are at one threshold; ap_small (area < 32²), ap_medium and ap_large (> 96²) are of objects of a size; ar1, ar10 and
ar100 are the mean of the best recall with that many detections per image. Where rows have masks, the same by masks is
named mask_….

Classes without true objects have no AP and are left out of the mean, and so are all detections of them; their
number is reported as `unjudged`. COCO's -1 (undefined) becomes None. Ids begin at 1, because COCO's evaluation
uses id 0 for "unmatched". The size of an object is the area of its mask, or of its box where it has none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sightline.structures.detection_rows import DetectionRows

NAMES: tuple[str, ...] = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
NAMES += ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")


def detection_metrics(rows: DetectionRows, classes: int | None = None) -> dict[str, float | None]:
    """COCO's numbers by boxes, and by masks where there are any, and `unjudged`. None: undefined.

    `classes` is the number of classes (labels 0..classes-1), None to infer it from the labels. ValueError for inconsistent
    rows.
    """
    k = class_count(rows, classes)
    metrics = _twelve(rows, k, masks=False)
    if has_masks(rows):
        metrics |= {f"mask_{name}": value for name, value in _twelve(rows, k, masks=True).items()}
    return metrics | {"unjudged": float(count_unjudged(rows))}


def count_unjudged(rows: DetectionRows) -> int:
    """The number of detections of classes without any true object."""
    return int((~np.isin(rows.label, rows.true_label[~rows.true_ignore])).sum())


def has_masks(rows: DetectionRows) -> bool:
    """Whether the rows have masks: either of all detections and true objects, or of none (see `class_count`)."""
    return bool(rows.found_rle or rows.true_rle)


def class_count(rows: DetectionRows, classes: int | None) -> int:
    """The number of classes. ValueError unless labels are in range, numbers finite, and either all or no objects have masks."""
    highest = int(max(rows.label.max(initial=-1), rows.true_label.max(initial=-1)))
    k = max(highest + 1, 1) if classes is None else classes
    lowest = min(rows.label.min(initial=0), rows.true_label.min(initial=0))
    if lowest < 0 or highest >= k:
        raise ValueError(f"labels contain a class outside 0..{k - 1}: pass the right number of classes")
    if not all(np.isfinite(x).all() for x in (rows.boxes, rows.score, rows.true_boxes)):
        raise ValueError("boxes or scores are not finite: check the network's outputs")
    if has_masks(rows) and (len(rows.found_rle) != len(rows.label) or len(rows.true_rle) != len(rows.true_label)):
        raise ValueError("only some objects have masks: pass masks of all or of none")
    return k


def true_areas(rows: DetectionRows) -> np.ndarray:
    """The area (t,) of each true object in pixels: of its mask, or of its box where there are no masks."""
    if has_masks(rows):
        from faster_coco_eval.core import mask

        masks = [
            _rle(rows, counts, image) for counts, image in zip(rows.true_rle, rows.true_image.tolist(), strict=True)
        ]
        return np.array([float(mask.area(m)) for m in masks])
    side = rows.true_boxes[:, 2:] - rows.true_boxes[:, :2]
    return side.prod(1).astype(np.float64)


def coco_truth(rows: DetectionRows, classes: int) -> dict[str, Any]:
    """The true objects in the form of a COCO annotation file; ids of images and classes are their indices + 1."""
    areas = true_areas(rows).tolist()
    annotations = [
        {
            "id": i + 1,
            "image_id": image + 1,
            "category_id": label + 1,
            "bbox": box,
            "area": area,
            "iscrowd": int(ignore),
        }
        for i, (image, label, box, area, ignore) in enumerate(
            zip(
                rows.true_image.tolist(),
                rows.true_label.tolist(),
                _corner_and_sides(rows.true_boxes),
                areas,
                rows.true_ignore.tolist(),
                strict=True,
            )
        )
    ]
    for annotation, counts, image in zip(annotations, rows.true_rle, rows.true_image.tolist(), strict=False):
        annotation["segmentation"] = _rle(rows, counts, image)
    return {
        "images": [{"id": i + 1, "height": h, "width": w} for i, (h, w) in enumerate(rows.size.tolist())],
        "categories": [{"id": c + 1, "name": str(c)} for c in range(classes)],
        "annotations": annotations,
    }


def coco_results(rows: DetectionRows, *, masks: bool = False) -> list[dict[str, Any]]:
    """The detections in the form of a COCO result file: boxes or masks, not both, or COCO takes sizes from the boxes."""
    results = [
        {"image_id": image + 1, "category_id": label + 1, "score": score}
        for image, label, score in zip(rows.image.tolist(), rows.label.tolist(), rows.score.tolist(), strict=True)
    ]
    if masks:
        return [
            one | {"segmentation": _rle(rows, counts, image)}
            for one, counts, image in zip(results, rows.found_rle, rows.image.tolist(), strict=True)
        ]
    return [one | {"bbox": box} for one, box in zip(results, _corner_and_sides(rows.boxes), strict=True)]


def _twelve(rows: DetectionRows, classes: int, *, masks: bool) -> dict[str, float | None]:
    from faster_coco_eval.core.coco import COCO
    from faster_coco_eval.core.faster_eval_api import COCOeval_faster

    if not len(rows) or rows.true_ignore.all():
        return dict.fromkeys(NAMES)
    truth = COCO(coco_truth(rows, classes), print_function=_silent)
    results = truth.loadRes(coco_results(rows, masks=masks))
    evaluation = COCOeval_faster(truth, results, iouType="segm" if masks else "bbox", print_function=_silent)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {n: None if value < 0 else float(value) for n, value in zip(NAMES, evaluation.stats[:12], strict=True)}


def _silent(*_: object) -> None:
    """Discard COCO's progress messages."""


def _corner_and_sides(boxes: np.ndarray) -> list[list[float]]:
    boxes = boxes.astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()


def _rle(rows: DetectionRows, counts: bytes, image: int) -> dict[str, Any]:
    return {"size": rows.size[image].tolist(), "counts": counts.decode("ascii")}
