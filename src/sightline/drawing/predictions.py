"""Predictions on the images that they are of, in the original's resolution: what `predict --draw` writes.

A painter takes the image (h, w, 3), its row as `predict` gives it, the class of each pixel where there are masks, and the
names of all classes. No torch, so an exported model draws the same pictures. Images below 320 pixels are enlarged by a
whole factor, so that names can be read; lines and letters grow with larger ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image, ImageDraw

from sightline.decoding.run_lengths import from_run_lengths

from .labels import Label, font_size, labelled, name_or_number, named_regions
from .overlay import CLASS_COLOURS, colour, coloured, framed, object_colour, outlined, tinted
from .png import PAPER, enlarged
from .text import BLACK, cut, height_of, width_of, writable, write

Picture = UInt8[np.ndarray, "h w 3"]
Painter = Callable[[Picture, Mapping[str, Any], np.ndarray | None, Sequence[str]], Picture]
LEFT_OUT = 255  # in a mask: pixels of classes that were not asked for
LONGEST = 24  # letters of a class name on a picture
SHOWN = 3  # most likely classes that are shown
MOST_TAGS = 8  # labels or values of an image
_FAINT = (205, 205, 205)  # the track of a bar
_UNSURE = (110, 110, 110)


def paint_classes(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    """The most likely classes with their probabilities and bars, below the image."""
    canvas = enlarged(coloured(picture))
    size = font_size(canvas)
    top = row.get("top") or ([[row["label"], row["probability"]]] if row.get("label") is not None else [])
    if row.get("label") is None:
        lines: list[tuple[str, float | None, bool]] = [("none of the chosen classes", None, False)]
    else:
        unsure = bool(row.get("uncertain"))
        lines = [(f"{name}?" if unsure and not i else str(name), p, not i) for i, (name, p) in enumerate(top[:SHOWN])]
    lines = [(_written(name, classes), p, first) for name, p, first in lines]
    strip = _strip(lines, canvas.shape[1], size, _UNSURE if row.get("uncertain") else CLASS_COLOURS[0])
    return np.concatenate([canvas, strip])


def paint_tags(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    """All labels that are reported, in colour, and the next most likely ones in grey, below the image."""
    canvas = enlarged(coloured(picture))
    own = row["labels"]
    others = {name: p for name, p in row["top"] if name not in own}
    lines = [(_written(name, classes), p, True) for name, p in own.items()][:MOST_TAGS]
    lines += [(_written(name, classes), p, False) for name, p in others.items()][: max(SHOWN - len(lines), 0)]
    strip = _strip(lines or [("no label", None, False)], canvas.shape[1], font_size(canvas), CLASS_COLOURS[0])
    return np.concatenate([canvas, strip])


def paint_values(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    """Each target with its value, below the image."""
    canvas = enlarged(coloured(picture))
    lines = [(f"{_written(name, classes)}: {value:.5g}", None, True) for name, value in row["values"].items()]
    return np.concatenate(
        [
            canvas,
            _strip(
                lines[:MOST_TAGS] or [("no value", None, False)], canvas.shape[1], font_size(canvas), CLASS_COLOURS[0]
            ),
        ]
    )


def paint_answers(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    """The answer to each question, below the image."""
    canvas = enlarged(coloured(picture))
    lines: list[tuple[str, float | None, bool]] = []
    for name, answer in row["answers"].items():
        if "value" in answer:
            lines.append((f"{name}: {answer['value']:.5g}", None, True))
        elif "label" in answer:
            lines.append((f"{name}: {answer['label']}", answer["probability"], True))
        else:
            lines.append((f"{name}: {', '.join(answer['labels']) or 'none'}", None, True))
    size = font_size(canvas)
    strip = _strip(lines[:MOST_TAGS] or [("no answer", None, False)], canvas.shape[1], size, CLASS_COLOURS[0])
    return np.concatenate([canvas, strip])


def paint_pixels(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    """Each pixel in the colour of its class, and a legend with the share of each below."""
    canvas = enlarged(coloured(picture))
    if mask is None:
        return canvas
    factor = canvas.shape[0] // mask.shape[0]
    index = mask.repeat(factor, axis=0).repeat(factor, axis=1)  # (h, w) → (f·h, f·w)
    kept = index != LEFT_OUT
    drawn = np.where(kept[..., None], tinted(canvas, index), canvas)
    drawn = named_regions(drawn, index, classes)
    return np.concatenate([drawn, _legend(row.get("shares", {}), classes, canvas.shape[1], font_size(canvas))])


def paint_objects(picture: Picture, row: Mapping[str, Any], mask: np.ndarray | None, classes: Sequence[str]) -> Picture:
    """A frame around every object, or its pixels tinted and outlined where it has a mask, each with class and score."""
    canvas = enlarged(coloured(picture))
    factor = canvas.shape[0] // picture.shape[0]
    thick, boxes = line_width(canvas), row.get("boxes", [])
    index = {name: i for i, name in enumerate(classes)}
    hues = [object_colour(i) if "rle" in box else colour(index[box["label"]]) for i, box in enumerate(boxes)]
    corners = np.array([box["xyxy"] for box in boxes], np.float64).reshape(-1, 4) * factor
    for i in reversed(range(len(boxes))):  # the surest is drawn last, and named first
        if "rle" in boxes[i]:
            canvas = _outlined(canvas, _mask_of(boxes[i]), factor, hues[i], thick)
    frames = [i for i in reversed(range(len(boxes))) if "rle" not in boxes[i]]
    canvas = framed(canvas, corners[frames], [hues[i] for i in frames], thick=thick)
    labels = [
        Label((left, top, right, bottom), _texts(box, index[box["label"]], classes), hue)
        for box, hue, (left, top, right, bottom) in zip(boxes, hues, corners.tolist(), strict=True)
    ]
    return labelled(canvas, labels)


PAINTERS: dict[str, Painter] = {  # by the name of an export's decoding
    "class scores": paint_classes,
    "label scores": paint_tags,
    "numbers": paint_values,
    "answers": paint_answers,
    "pixel scores": paint_pixels,
    "regions": paint_objects,
}


def line_width(picture: Picture) -> int:
    """Pixels of a frame: 2 on small pictures, 10 on one of 4,000 x 3,000."""
    return max(2, round(0.003 * sum(picture.shape[:2]) / 2))


def _texts(box: Mapping[str, Any], index: int, classes: Sequence[str]) -> tuple[str, ...]:
    """Class and score, only the score where there is no room for both; of a true object its class. The name of an only class
    says nothing."""
    name = name_or_number(classes, index, LONGEST) if len(classes) > 1 else ""
    score = f"{box['score']:.2f}" if "score" in box else ""
    return tuple(dict.fromkeys(filter(None, (f"{name} {score}".strip(), score))))


def _mask_of(box: Mapping[str, Any]) -> Bool[np.ndarray, "h w"]:
    height, width = box["rle"]["size"]
    return from_run_lengths((box["rle"]["counts"].encode("ascii"),), (height, width))[0]


def _outlined(
    canvas: Picture, mask: Bool[np.ndarray, "h w"], factor: int, hue: tuple[int, int, int], thick: int
) -> Picture:
    """One object, in place: only the pixels around it are touched."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return canvas
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    there = tuple(slice(s.start * factor, s.stop * factor) for s in part)
    large = mask[part].repeat(factor, axis=0).repeat(factor, axis=1)
    canvas[there] = outlined(canvas[there], large[None], [hue], thick=thick)
    return canvas


def _strip(
    lines: Sequence[tuple[str, float | None, bool]], width: int, size: int, hue: tuple[int, int, int]
) -> Picture:
    """A line a class: its name, a bar, its probability; the first in colour."""
    gap = max(2, size // 3)
    fonts = [writable(name, size) or ("class without a font", writable("x", size)[1]) for name, _, _ in lines]  # type: ignore[index]
    high = max(height_of(font) for _, font in fonts) + gap
    canvas = Image.new("RGB", (width, high * len(lines) + gap), (PAPER,) * 3)
    digits = width_of("0.000", fonts[0][1]) + gap
    room = max(int(0.55 * width), width - digits - 12 * size)  # for names
    wide = min(max(width_of(text, font) for text, font in fonts), room)
    for place, ((_, p, first), (text, font)) in enumerate(zip(lines, fonts, strict=True)):
        top = gap + place * high
        write(canvas, cut(text, wide if p is not None else width - 2 * gap, font), (gap, top), font, BLACK)
        if p is None:
            continue
        left, right = wide + 3 * gap, width - digits - gap
        if right - left >= size:
            bar = (left, top + high // 6, right, top + high - gap - high // 6)
            ImageDraw.Draw(canvas).rectangle(bar, fill=_FAINT)
            filled = (left, bar[1], left + round(p * (right - left)), bar[3])
            ImageDraw.Draw(canvas).rectangle(filled, fill=hue if first else _UNSURE)
        write(canvas, f"{p:.3f}", (width - digits, top), writable("0", size)[1], BLACK)  # type: ignore[index]
    return np.asarray(canvas).copy()


def _legend(shares: Mapping[str, float], classes: Sequence[str], width: int, size: int) -> Picture:
    """A square, the name and the share of each class, in as many columns as fit."""
    gap = max(2, size // 3)
    index = {name: i for i, name in enumerate(classes)}
    entries = []
    for name, share in shares.items():
        text = f"{name_or_number(classes, index[name], LONGEST)} {_percent(share)}"
        spelling, font = writable(text, size) or (_percent(share), writable("0", size)[1])  # type: ignore[index]
        entries.append((colour(index[name]), spelling, font))
    if not entries:
        return np.full((0, width, 3), PAPER, np.uint8)
    column = min(max(width_of(text, font) for _, text, font in entries) + size + 4 * gap, width)
    columns = max(1, width // column)
    high = max(height_of(font) for *_, font in entries) + gap
    canvas = Image.new("RGB", (width, high * -(-len(entries) // columns) + gap), (PAPER,) * 3)
    for place, (hue, text, font) in enumerate(entries):
        left, top = gap + place % columns * column, gap + place // columns * high
        side = high - gap
        ImageDraw.Draw(canvas).rectangle((left, top, left + side - 1, top + side - 1), fill=hue, outline=BLACK)
        write(canvas, cut(text, width - side - 3 * gap, font), (left + side + gap, top), font, BLACK)
    return np.asarray(canvas).copy()


def _written(name: str, classes: Sequence[str]) -> str:
    """The name, the class's number where no font can write it."""
    bare = name.removesuffix("?")
    if writable(name, 12) is not None or bare not in classes:
        return name
    return f"class {list(classes).index(bare)}{name[len(bare) :]}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"
