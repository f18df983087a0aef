"""Filters, activation maps, patches with their projections, and positions: what needs no score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from sightline.explanation.attribution.attention import token_grid
from sightline.explanation.features.filters import first_filters
from sightline.explanation.features.layers import Layer, activations
from sightline.explanation.features.patches import UnitPatches, top_patches
from sightline.explanation.features.positions import position_embeddings
from sightline.explanation.features.projection import projections
from sightline.explanation.features.templates import templates
from sightline.explanation.subject import Refused, undisturbed
from sightline.reports.features.units import LayerMaps, activations_topic, patches_topic
from sightline.reports.features.weights import filters_topic, positions_topic, templates_topic

from .outcome import Outcome, Values
from .sample import Sample

Tick = Callable[[int, int], None]  # parts that are done, of so many
PATCHES = 9


def filters(sample: Sample, tick: Tick) -> Outcome:
    found = first_filters(sample.network, sample.through, sample.example)
    facts = {
        "layer": found.layer, "filters": len(found.weights), "shape": list(found.weights.shape[1:]),
        "components": list(found.shares), "colour_selectivity": found.colour.tolist(),
        "orientation_selectivity": found.orientation.tolist(),
    }  # fmt: skip
    values = Values(found.weights, "weight, for normalised pixels", "filter, channel, row, column")
    return Outcome(filters_topic(found), {"filters": values}, facts)


def learned(sample: Sample, tick: Tick) -> Outcome:
    galleries = templates(sample.network)
    arrays = {
        f"templates.{number}": Values(gallery.tiles, gallery.title, "entry, view, channel, row, column")
        for number, gallery in enumerate(galleries)
    }
    return Outcome(templates_topic(galleries, sample.run.classes), arrays, {"galleries": [g.title for g in galleries]})


def positions(sample: Sample, tick: Tick) -> Outcome:
    found = position_embeddings(sample.network, sample.shape[1:])
    grid = list(found.similarity.shape[:2])
    values = Values(found.similarity.numpy(), "cosine", "row and column of a patch, row and column of another")
    facts = {"embedding": found.name, "grid": grid, "tokens_ahead": found.ahead}
    return Outcome(positions_topic(found), {"positions": values}, facts)


def activation_maps(sample: Sample, tick: Tick) -> Outcome:
    images, layers = sample.images, sample.shown
    with undisturbed(sample.network), torch.no_grad(), activations(sample.network, layers) as kept:
        sample.through(images.pixels[:1].to(sample.device).float())
        maps = [_as_maps(layer, kept[layer.name][0].float().cpu(), sample) for layer in layers]
    shown = [LayerMaps(layer, one) for layer, one in zip(layers, maps, strict=True)]
    arrays = {
        f"activations.{layer.name}": Values(one, "activation", "unit, row, column")
        for layer, one in zip(layers, maps, strict=True)
    }
    topic = activations_topic(images.pixels[0].numpy(), images.names[0], sample.label(images, 0), shown)
    facts = {"image": images.names[0], "layers": {layer.name: _layer_facts(layer) for layer in layers}}
    return Outcome(topic, arrays, facts)


def _as_maps(layer: Layer, values: torch.Tensor, sample: Sample) -> np.ndarray:
    """(k, h, w); patches of tokens on their grid, without the tokens ahead of them."""
    if layer.layout == "tokens":
        try:
            grid, ahead = token_grid(values.shape[2], *sample.shape[1:])
        except Refused:
            return values.numpy()
        return values[:, 0, ahead:].unflatten(1, grid).numpy()
    if layer.layout == "vector" or layer.grid == (1, 1):  # a strip of units instead of as many single pixels
        return values.flatten()[None, None].numpy()
    return values.numpy()


def _layer_facts(layer: Layer) -> dict[str, object]:
    field = None if layer.view is None else [layer.view.height.size, layer.view.width.size]
    return {
        "kind": layer.kind,
        "shape": list(layer.shape),
        "receptive_field": field,
        "whole_image": layer.whole() or None,
    }


def patches(sample: Sample, tick: Tick) -> Outcome:
    viewing, images, layers = sample.viewing(), sample.images, sample.shown
    count = 6 if len(layers) > 1 else 12
    units: list[UnitPatches] = []
    for done, layer in enumerate(layers):
        units += top_patches(viewing, [layer], units=count, patches=PATCHES)
        tick(done + 1, len(layers))
    if not units:
        raise Refused("no unit of these layers responds differently to different images", "choose another --layer")
    projected, refusal = {}, ""
    for one in units:
        try:
            projected[one.layer.name, one.unit] = projections(viewing, one).cpu().float().numpy()
        except Refused as error:
            refusal = refusal or error.message
    if projected:
        refusal = ""
    shown = {patch.image: images.pixels[patch.image].numpy() for one in units for patch in one.patches}
    topic = patches_topic(units, shown, projected, images.names, [f"Looked at: {images.words}."], refusal)
    unit_of = "activation per level of 0-255, by the deconvnet's rule"
    arrays = {
        f"projections.{name}.{unit}": Values(values, unit_of, "patch, channel, row, column")
        for (name, unit), values in projected.items()
    }
    facts = {
        "split": images.split, "images": len(images), "of": images.of,
        "layers": {layer.name: _layer_facts(layer) for layer in layers},
        "units": [_unit_facts(one, images.names) for one in units],
    }  # fmt: skip
    return Outcome(topic, arrays, facts)


def _unit_facts(one: UnitPatches, names: tuple[str, ...]) -> dict[str, object]:
    rows = [
        {"image": names[patch.image], "place": list(patch.place), "box": list(patch.box), "value": patch.value}
        for patch in one.patches
    ]
    return {
        "layer": one.layer.name,
        "unit": one.unit,
        "box_tested": one.tested,
        "box_refuted": one.refuted,
        "patches": rows,
    }
