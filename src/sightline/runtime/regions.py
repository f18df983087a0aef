"""Region networks in turns: propose, suppress, classify, suppress, and with masks a third graph.

Thresholds are settings of the export, so that no constant of the network is written down twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from sightline.decoding.run_lengths import run_lengths

from .boxes import box_rows, kept_detections, wide_boxes
from .choosing import choose_boxes
from .decodings import Arrays, Decoding, Frames, Graph, Keep, sigmoid, softmax
from .suppression import suppress

PORTION = 128  # regions of one call: a graph gathers 784 rows of the table for each


class Regions(Decoding):
    """The graphs, with a table of the pixels of all maps (b, p, c) between them:

        propose     image → table, logit (b, m), boxes (b, m, 4), level (m,)
        classify    table, proposals (r, 4), sample (r,) → logits (r, k + 1), boxes (r, k, 4)
        mask        table, proposals, sample, label (r,) → mask (r, s, s) logits; only where there are masks

    Settings: `proposals` (most per image), `proposal_overlap`, `smallest_proposal`; `score`, `overlap`, `limit`,
    `smallest_box` of detections.
    """

    choose = staticmethod(choose_boxes)
    scored = True

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        """`boxes` (d, 4) in the network's frame, `label`, `score` and `sample` (d,), and `mask` (d, s, s) probabilities."""
        found = graphs["propose"](image=image)
        parts = [self._proposals(*pair, found["level"]) for pair in zip(found["logit"], found["boxes"], strict=True)]
        proposals = np.concatenate(parts)
        sample = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        refined = _in_portions(graphs["classify"], found["table"], proposals=proposals, sample=sample)
        kept = kept_detections(refined["boxes"], softmax(refined["logits"])[:, 1:], sample, self.settings)
        if "mask" in graphs:
            chosen = {"proposals": kept["boxes"], "sample": kept["sample"], "label": kept["label"]}
            kept["mask"] = sigmoid(_in_portions(graphs["mask"], found["table"], **chosen)["mask"])
        return kept

    def _proposals(
        self, logit: Float[np.ndarray, "m"], boxes: Float[np.ndarray, "m 4"], level: Int[np.ndarray, "m"]
    ) -> Float[np.ndarray, "r 4"]:
        """The proposals of one image, best first."""
        wide = wide_boxes(boxes, self.settings["smallest_proposal"])
        boxes, probability, level = boxes[wide], sigmoid(logit[wide]), level[wide]
        best = suppress(boxes, probability, level, self.settings["proposal_overlap"])
        return boxes[best[: self.settings["proposals"]]]

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        rows, boxes = box_rows(outputs, frames, classes)
        for i, (image, box, corners) in enumerate(boxes if "mask" in outputs else ()):
            natural = frames.natural[image]
            mask = paste_mask(outputs["mask"][i], corners.astype(np.float32), natural)
            box["rle"] = {"size": list(natural), "counts": run_lengths(mask[None])[0].decode("ascii")}
        return rows


def _in_portions(graph: Graph, table: np.ndarray, **regions: np.ndarray) -> Arrays:
    """The outputs for all regions, of which the graph pools a few at a time. It is also called without any, for the shapes."""
    count = len(regions["proposals"])
    starts = range(0, count, PORTION) if count else range(1)
    parts = [graph(table=table, **{k: v[i : i + PORTION] for k, v in regions.items()}) for i in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def paste_mask(
    mask: Float[np.ndarray, "m m"], box: Float[np.ndarray, "4"], size: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """A mask of probabilities resampled over its box, as pixels of an image of `size`: the rule of
    `decoding.detections.paste_masks`."""
    down = _hat_weights(box[1], box[3], size[0], mask.shape[0])  # (h, m)
    across = _hat_weights(box[0], box[2], size[1], mask.shape[1])  # (w, m)
    return down @ mask @ across.T > 0.5


def _hat_weights(low: np.float32, high: np.float32, pixels: int, cells: int) -> Float[np.ndarray, "p c"]:
    """The weight of each cell at the centre of each pixel, along one side."""
    centre = np.arange(pixels, dtype=np.float32) + np.float32(0.5)
    extent = np.maximum(high - low, np.float32(1e-6))
    place = (centre - low) / extent * np.float32(cells) - np.float32(0.5)
    return (1 - np.abs(place[:, None] - np.arange(cells, dtype=np.float32))).clip(min=0)
