"""COCO's twelve numbers (Lin et al. 2014, arXiv:1405.0312) from detection rows, by faster-coco-eval.

ap is the mean over classes and over the IoU thresholds .5, .55 ... .95 of the 101-point average precision; ap50 and
ap75 at one threshold; ap_small (area < 32²), ap_medium and ap_large (> 96²) of the objects of a size; ar1, ar10 and
ar100 the mean of the best recall with so many found objects an image. The same by masks, named mask_..., where the rows
have them.

Classes without anything to be found have no AP and are left out of the mean, and with them whatever was found of them:
`unjudged` counts those, so that it is not forgotten. COCO's -1 (undefined) is None. Its ids begin at 1, because its
evaluation takes the id 0 for "unmatched". An object's size is the area of its mask, where it has one, else of its box.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sightline.structures.detection_rows import DetectionRows

NAMES: tuple[str, ...] = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
NAMES += ("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")


def detection_metrics(rows: DetectionRows, classes: int | None = None) -> dict[str, float | None]:
    """COCO's numbers of boxes, of masks where there are any, and `unjudged`. None: undefined.

    `classes` is the number of classes (labels 0..classes-1); the labels decide where omitted. Raises ValueError for rows
    that do not fit together.
    """
    k = checked(rows, classes)
    metrics = _twelve(rows, k, masks=False)
    if has_masks(rows):
        metrics |= {f"mask_{name}": value for name, value in _twelve(rows, k, masks=True).items()}
    return metrics | {"unjudged": float(unjudged(rows))}


def unjudged(rows: DetectionRows) -> int:
    """How many objects were found of classes of which nothing was to be found."""
    return int((~np.isin(rows.label, rows.true_label[~rows.true_ignore])).sum())


def has_masks(rows: DetectionRows) -> bool:
    """Whether every object, found and true, has its pixels (and there is one)."""
    return bool(rows.found_rle or rows.true_rle)


def checked(rows: DetectionRows, classes: int | None) -> int:
    """The number of classes, of rows that fit together: labels and images in range, numbers finite, a mask each."""
    highest = int(max(rows.label.max(initial=-1), rows.true_label.max(initial=-1)))
    k = max(highest + 1, 1) if classes is None else classes
    lowest = min(rows.label.min(initial=0), rows.true_label.min(initial=0))
    if lowest < 0 or highest >= k:
        raise ValueError(f"a class outside 0..{k - 1}")
    if not all(np.isfinite(x).all() for x in (rows.boxes, rows.score, rows.true_boxes)):
        raise ValueError("boxes or scores that are not finite")
    if has_masks(rows) and (len(rows.found_rle) != len(rows.label) or len(rows.true_rle) != len(rows.true_label)):
        raise ValueError("masks of some objects only")
    return k


def true_areas(rows: DetectionRows) -> np.ndarray:
    """(t,) pixels of each true object: of its mask, or of its box where there are no masks."""
    if has_masks(rows):
        from faster_coco_eval.core import mask

        masks = [
            _rle(rows, counts, image) for counts, image in zip(rows.true_rle, rows.true_image.tolist(), strict=True)
        ]
        return np.array([float(mask.area(m)) for m in masks])
    side = rows.true_boxes[:, 2:] - rows.true_boxes[:, :2]
    return side.prod(1).astype(np.float64)


def coco_truth(rows: DetectionRows, classes: int) -> dict[str, Any]:
    """What is true, as a COCO annotation file would hold it; image and class ids are places in the rows + 1."""
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
    """What was found, as a COCO result file would hold it: boxes or masks, never both (an object's size is then taken
    from the box)."""
    found = [
        {"image_id": image + 1, "category_id": label + 1, "score": score}
        for image, label, score in zip(rows.image.tolist(), rows.label.tolist(), rows.score.tolist(), strict=True)
    ]
    if masks:
        return [
            one | {"segmentation": _rle(rows, counts, image)}
            for one, counts, image in zip(found, rows.found_rle, rows.image.tolist(), strict=True)
        ]
    return [one | {"bbox": box} for one, box in zip(found, _corner_and_sides(rows.boxes), strict=True)]


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
    """COCO tells each step of its work."""


def _corner_and_sides(boxes: np.ndarray) -> list[list[float]]:
    boxes = boxes.astype(np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()


def _rle(rows: DetectionRows, counts: bytes, image: int) -> dict[str, Any]:
    return {"size": rows.size[image].tolist(), "counts": counts.decode("ascii")}
