"""Class images, dreams, neighbours, maps and attention: what needs the network's scores or its last hidden layer."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from sightline.explanation.attribution.attention import attention_weights, rolled_out, token_grid
from sightline.explanation.features.class_images import ClassImage, class_images
from sightline.explanation.features.dream import OCTAVES, dream
from sightline.explanation.features.layers import chosen as chosen_layers
from sightline.explanation.features.space import LEAST, neighbours, pca, t_sne
from sightline.explanation.subject import Refused, Subject
from sightline.kinds.catalogue import kind_of
from sightline.reports.features.attention import attention_topic
from sightline.reports.features.space import map_topic, neighbours_topic
from sightline.reports.features.synthesis import class_images_topic, dream_topic

from .outcome import Outcome, Values
from .sample import ImageSample, Sample
from .units import Tick

CLIMB, DREAM = 300e9, 300e9  # multiply-adds
CLASSES = 10  # class images at most
QUERIES = 10


def _training(sample: Sample) -> ImageSample:
    """Images that the network was trained on, or else those of the split."""
    if sample.data is not None and sample.split != "all" and len(sample.data.ids("train")):
        return sample.of_split("train")
    return sample.images


def of_classes(sample: Sample, tick: Tick) -> Outcome:
    images = _training(sample)
    subject, scores = sample.subject, sample.seen(images)[1]
    targets = [sample.target] if sample.target is not None else _present(images, scores.shape[1])
    real = images.pixels.float()
    mean = real.mean(0)
    energy = float(((real - mean) / 255).flatten(1).square().sum(1).mean())
    steps = sample.steps(CLIMB, 64, 192, each=len(targets))
    chunk = max(1, min(len(targets), 256 * 1024 // mean[0].numel()))
    found: list[ClassImage] = []
    for start in range(0, len(targets), chunk):
        part = torch.tensor(targets[start : start + chunk], device=sample.device)
        there = start // chunk * steps

        def count(done: int, there: int = there) -> None:
            tick(there + done, -(-len(targets) // chunk) * steps)

        found += class_images(
            subject, part, scores, mean.to(sample.device), energy, steps=steps, seed=sample.seed, tick=count
        )
    best = [images.pixels[one.of].numpy() for one in found]
    notes = [
        f"{steps} steps; λ = {np.median([one.penalty for one in found]):.2g} for pixels in units of the full range."
    ]
    left = scores.shape[1] - len(targets)
    if left and sample.target is None:
        notes.append(f"{left} more classes: name one with --target.")
    topic = class_images_topic(found, best, sample.run.classes, images.words, notes, subject.classes)
    arrays = {
        "class_images": Values(
            np.stack([one.image.numpy() for one in found]), "levels 0-255", "class, channel, row, column"
        )
    }
    facts = {
        "split": images.split, "images": len(images), "steps": steps,
        "classes": [
            {
                "class": _name(sample, one.target), "score": one.score, "best_real_score": one.best,
                "best_real_image": images.names[one.of], "reached": one.reached, "penalty": one.penalty,
                "confidence": one.confidence if subject.classes else None,
            }
            for one in found
        ],
    }  # fmt: skip
    return Outcome(topic, arrays, facts)


def _present(images: ImageSample, width: int) -> list[int]:
    """The most frequent classes of the sample, in their own order; the first ones where no image has a label."""
    counts = np.bincount(images.label[images.label >= 0], minlength=width)[:width]
    order = np.argsort(-counts, kind="stable")[:CLASSES]
    return sorted(int(index) for index in order)


def _name(sample: Sample, index: int) -> str:
    return sample.run.classes[index] if index < len(sample.run.classes) else str(index)


def dreams(sample: Sample, tick: Tick) -> Outcome:
    images = sample.images
    layer = sample.shown[-1]
    if sample.layer is None:  # the last but one: what the last sees is hardly more than the classes
        stages = [one for one in chosen_layers(sample.layers) if one.grid != (1, 1)]
        layer = stages[-2] if len(stages) > 1 else layer
    windows = 1 + 4 * (OCTAVES - 1)
    steps = sample.steps(DREAM, 8, 30, each=windows)
    image = images.pixels[:1].to(sample.device).float()
    found = dream(
        sample.viewing(), layer, image, steps=steps, seed=sample.seed,
        tick=lambda done: tick(done, OCTAVES * steps),
    )  # fmt: skip
    topic = dream_topic(found, images.pixels[0].numpy(), images.names[0])
    facts = {
        "image": images.names[0], "layer": layer.name, "steps": steps, "rising": found.rising,
        "octaves": [{"size": list(o.size), "before": o.before, "after": o.after} for o in found.octaves],
    }  # fmt: skip
    return Outcome(topic, {"dream": Values(found.image.numpy(), "levels 0-255", "channel, row, column")}, facts)


def nearest(sample: Sample, tick: Tick) -> Outcome:
    queries, images = sample.images, _training(sample)
    itself = images.split == queries.split
    vectors = sample.seen(images)[0]
    every = sample.seen(queries)[0]
    if len(images) < 2:
        raise Refused("one image has no neighbours", "use more images")
    whole = neighbours(every, vectors, itself=itself)
    known = [i for i in range(len(queries)) if queries.label[i] >= 0 and images.label[whole.index[i, 0]] >= 0]
    same = [queries.label[i] == images.label[whole.index[i, 0]] for i in known]
    picked = _spread(queries.label, QUERIES)
    shown = type(whole)(whole.index[picked], whole.distance[picked])
    notes = [
        f"Left: {queries.words}. Right: {images.words}, in the {vectors.shape[1]} dimensions before the last layer."
    ]
    if same:
        notes.append(f"The nearest image has the same class for {np.mean(same):.1%} of {len(same):,} images.")
    labels = [sample.label(images, i) for i in range(len(images))]
    topic = neighbours_topic(
        shown,
        queries.pixels[picked].numpy(),
        [sample.label(queries, i) for i in picked],
        images.pixels.numpy(),
        labels,
        notes,
    )
    arrays = {
        "neighbours": Values(whole.index, "number of an image", "query, neighbour"),
        "distances": Values(whole.distance.astype(np.float32), "Euclidean distance", "query, neighbour"),
        "vectors": Values(every, "activation before the last layer", "query, dimension"),
    }
    facts = {
        "queries": list(queries.names), "split": queries.split, "neighbours_from": images.split, "names": list(images.names),
        "same_class": float(np.mean(same)) if same else None, "n": len(same),
    }  # fmt: skip
    return Outcome(topic, arrays, facts)


def _spread(label: np.ndarray, count: int) -> list[int]:
    """Images of as many classes as possible: the first of each class, then the second."""
    rank = np.zeros(len(label), np.int64)
    seen: dict[int, int] = {}
    for i, index in enumerate(label.tolist()):
        rank[i] = seen.get(index, 0)
        seen[index] = rank[i] + 1
    return sorted(np.lexsort((label, rank))[:count].tolist(), key=lambda i: (label[i], i))


def plane(sample: Sample, tick: Tick) -> Outcome:
    images = sample.images
    if len(images) < LEAST:
        raise Refused(f"a map needs at least {LEAST} images, and there are {len(images)}", "use more images")
    vectors = sample.seen(images)[0]
    planes = [pca(vectors), t_sne(vectors, sample.seed)]
    if kind_of(sample.run).needs != "classes":
        notes = [f"{images.words[:1].upper()}{images.words[1:]}, without colours: they have no single class."]
    else:
        notes = [f"{images.words[:1].upper()}{images.words[1:]}."]
    topic = map_topic(planes, images.pixels.numpy(), images.label, sample.run.classes, notes)
    arrays = {
        "pca": Values(planes[0].points.astype(np.float32), "activation", "image, axis"),
        "t_sne": Values(planes[1].points.astype(np.float32), "no unit", "image, axis"),
    }
    facts = {"split": images.split, "images": list(images.names), "pca_variance": planes[0].explained}
    return Outcome(topic, arrays, facts)


def attention(sample: Sample, tick: Tick) -> Outcome:
    images, size = sample.images, sample.shape[1:]
    pixels = images.pixels[:1].to(sample.device).float()
    weights = attention_weights(Subject(sample.network, sample.through), pixels)
    grid, ahead = token_grid(weights[0].shape[-1], *size)

    def as_maps(rows: torch.Tensor) -> np.ndarray:
        """Weights (m, n, n) as maps (m, h, w) of what the class token reads."""
        read = rows[:, 0] if ahead else rows.mean(1)
        maps = read[:, ahead:].unflatten(1, grid)[:, None].float()
        return F.interpolate(maps, size=size, mode="nearest")[:, 0].cpu().numpy()

    layers = as_maps(torch.stack([one[0].mean(0) for one in weights]))
    heads = as_maps(weights[-1][0])
    rollout = as_maps(rolled_out(weights))[0]
    notes = [f"{len(weights)} layers of {weights[-1].shape[1]} heads over {grid[0]} × {grid[1]} patches."]
    label = sample.label(images, 0)
    name = images.names[0] + (f" ({label})" if label else "")
    topic = attention_topic(images.pixels[0].numpy(), name, layers, heads, rollout, notes)
    unit = "share of attention"
    arrays = {
        "attention.layers": Values(layers, unit, "layer, row, column"),
        "attention.heads": Values(heads, unit, "head, row, column"),
        "attention.rollout": Values(rollout, unit, "row, column"),
    }
    return Outcome(topic, arrays, {"image": images.names[0], "layers": len(weights), "grid": list(grid)})
