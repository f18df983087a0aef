"""Topics about single units: their activation maps in one image, and the patches that activate them most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from sightline.drawing.png import Picture, enlarged, fitted, grid
from sightline.explanation.features.layers import Layer
from sightline.explanation.features.methods import FEATURES
from sightline.explanation.features.patches import UnitPatches

from .tiles import PALE, beside, cropped, edged, image_tile, map_tile, sheet_of, signed_tile
from .topic import Figure, Topic

Image = UInt8[np.ndarray, "c h w"]
MAPS = 16  # of a layer
SIDE = 72  # pixels of a map
PATCH = 56  # pixels of a patch


@dataclass(frozen=True)
class LayerMaps:
    """The activations (k, h, w) of a layer in one image, patches of tokens on their grid; `why` where they are not maps."""

    layer: Layer
    maps: Float[np.ndarray, "k h w"]


def activations_topic(image: Image, name: str, label: str, layers: Sequence[LayerMaps]) -> Topic:
    about = FEATURES["activations"]
    shown = enlarged(image_tile(image), least=160, most=320)
    figures = [Figure(name, fitted(shown, least=1, most=320), [label] if label else [])]
    for one in layers:
        energy = (one.maps.astype(np.float64) ** 2).sum((1, 2))
        order = np.argsort(-energy, kind="stable")[:MAPS]
        scale = float(np.quantile(np.abs(one.maps[order]), 0.995)) or float(np.abs(one.maps).max()) or 1.0
        tiles = [map_tile(one.maps[i].astype(float), scale, least=SIDE) for i in order]
        tiles = [edged(fitted(tile, least=1, most=112), PALE, 1) for tile in tiles]
        active = float((energy > 0).mean())
        rest = "" if active == 1 else f"; {active:.0%} of the units respond"
        words = [
            f"{one.layer.kind}, {one.layer.units} units of {one.maps.shape[1]} × {one.maps.shape[2]}",
            f"the {len(order)} most active; scale ±{scale:.3g}{rest}",
        ]
        figures.append(Figure(one.layer.name, _grid(tiles, 4), words))
    return Topic("activations", about.title, about.paper, about.reading, figures)


def _grid(tiles: Sequence[Picture], columns: int) -> Picture:
    return grid(tiles, columns=columns, gap=4, least=1, most=4096)


def patches_topic(
    units: Sequence[UnitPatches],
    images: Mapping[int, Image],
    projected: Mapping[tuple[str, int], Float[np.ndarray, "b c h w"]],
    names: Sequence[str],
    notes: Sequence[str],
    refusal: str = "",
) -> Topic:
    """`images` by their number; `projected` by layer and unit, and `refusal` why there are none."""
    about = FEATURES["patches"]
    figures = [_unit_figure(one, images, projected.get((one.layer.name, one.unit))) for one in units]
    warnings = []
    for layer in dict.fromkeys(one.layer.name for one in units):
        own = [one for one in units if one.layer.name == layer]
        if any(one.refuted for one in own):
            warnings.append(
                f"{layer}: a pixel outside of the box that the layers before it allow changes its units, so an "
                f"operation among them "
                f"mixes places: the whole image is shown."
            )
    tested = [one for one in units if one.tested]
    lines = list(notes)
    if tested:
        count = sum(len(one.patches) for one in tested)
        lines.append(
            f"All {count} boxes were tested: with noise in every pixel outside, the unit's value stays the same to the "
            f"last bit, and "
            f"with noise inside it does not."
        )
    lines += list(dict.fromkeys(f"{one.layer.name}: {one.layer.whole()}." for one in units if one.layer.whole()))
    if refusal:
        lines.append(f"Projections are left out: {refusal}.")
    return Topic("patches", about.title, about.paper, about.reading, figures, lines, warnings)


def _unit_figure(
    one: UnitPatches, images: Mapping[int, Image], projected: Float[np.ndarray, "b c h w"] | None
) -> Figure:
    high = max(box[3] - box[1] for box in (p.box for p in one.patches))
    wide = max(box[2] - box[0] for box in (p.box for p in one.patches))
    tiles = [cropped(image_tile(images[p.image]), p.box, (high, wide)) for p in one.patches]
    parts = [sheet_of(tiles, columns=3, side=PATCH)]
    if projected is not None:
        maps = []
        for patch, values in zip(one.patches, projected, strict=True):
            left, top, right, bottom = patch.box
            tile = signed_tile(values, float(np.abs(values[:, top:bottom, left:right]).max()) or 1.0)
            maps.append(cropped(tile, patch.box, (high, wide)))
        parts.append(sheet_of(maps, columns=3, side=PATCH))
    first, last = one.patches[0].value, one.patches[-1].value
    field = "whole image" if one.layer.view is None or one.refuted else _field(one.layer)
    words = [f"{first:.3g} to {last:.3g}; field {field}"]
    return Figure(f"{one.layer.name}, unit {one.unit}", beside(parts), words)


def _field(layer: Layer) -> str:
    assert layer.view is not None
    return f"{layer.view.height.size} × {layer.view.width.size} pixels"
