"""Paths that grow over level lines, as a GIF that plays without a script.

Frames share one palette: white, greys of the surface, and the tones of the paths, so that a frame of a hundred steps costs
a few kilobytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw
from skimage.measure import find_contours

from ..plane import TONES, Path, Surface, Window
from ..text import BLACK, writable, write

SIDE = 340  # pixels
_COLOURS = dict(
    zip(
        TONES,
        ((29, 95, 168), (181, 86, 15), (79, 122, 42), (138, 63, 143), (179, 32, 44), (12, 124, 134), (107, 90, 30),
         (75, 79, 85)),
        strict=True,
    )
)  # fmt: skip
_SCALE = 2  # drawn twice as large and shrunk: smooth lines


def moving_paths(
    window: Window, surface: Surface, paths: Sequence[Path], *, frames: int = 32, milliseconds: int = 140
) -> bytes:
    """A GIF of SIDE x SIDE pixels in which every path grows step by step to its end, then rests for two seconds.

    Steps are spread evenly over the frames. Paths of different lengths end at their own times; what is outside of the
    window is cut off, and a path ends where it is not finite.
    """
    background = _background(surface)
    longest = max(len(path.at) for path in paths)
    ends = sorted({round(1 + (longest - 1) * i / max(frames - 1, 1)) for i in range(frames)})
    shots = [_frame(background, window, paths, end) for end in ends]
    palette = _palette()
    reduced = [shot.quantize(palette=palette, dither=Image.Dither.NONE) for shot in shots]
    stream = io.BytesIO()
    durations = [milliseconds] * (len(reduced) - 1) + [2000]
    reduced[0].save(
        stream, "GIF", save_all=True, append_images=reduced[1:], duration=durations, loop=0, optimize=False
    )  # fmt: skip
    return stream.getvalue()


def _palette() -> Image.Image:
    """Sixteen greys, and each tone in four strengths for smooth edges."""
    colours = [(255 - 17 * i,) * 3 for i in range(16)]
    for r, g, b in _COLOURS.values():
        colours += [(_faded(r, s), _faded(g, s), _faded(b, s)) for s in (1.0, 0.75, 0.5, 0.25)]
    image = Image.new("P", (1, 1))
    image.putpalette([v for colour in colours for v in colour])
    return image


def _faded(value: int, strength: float) -> int:
    return round(255 - strength * (255 - value))


def _background(surface: Surface) -> Image.Image:
    canvas = Image.new("RGB", (SIDE * _SCALE,) * 2, (255, 255, 255))
    pen = ImageDraw.Draw(canvas)
    values = np.asarray(surface.values, float)
    for level in surface.levels:
        for line in find_contours(values, level):
            scaled = (line[:, ::-1] + 0.5) / len(values) * SIDE * _SCALE
            pen.line([(float(x), float(y)) for x, y in scaled], fill=(204, 204, 204), width=_SCALE)
    return canvas


def _frame(background: Image.Image, window: Window, paths: Sequence[Path], steps: int) -> Image.Image:
    canvas = background.copy()
    pen = ImageDraw.Draw(canvas)
    for path in paths:
        places = _places(path.at[:steps], window)
        colour = _COLOURS[path.tone]
        if len(places) > 1:
            pen.line(places, fill=colour, width=2 * _SCALE, joint="curve")
        if places:
            x, y = places[-1]
            r = 4 * _SCALE
            pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    small = canvas.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    for row, path in enumerate(paths):
        _name(small, path, 8 + 17 * row)
    known = writable(f"step {steps - 1}", 13)
    if known is not None:
        write(small, known[0], (8, SIDE - 22), known[1], BLACK)
    return small


def _places(at: Float[np.ndarray, "n 2"], window: Window) -> list[tuple[float, float]]:
    finite = np.isfinite(at).all(1)
    kept = at[: len(at) if finite.all() else int(finite.argmin())]
    x = (kept[:, 0] - window.x_low) / (window.x_high - window.x_low)
    y = (window.y_high - kept[:, 1]) / (window.y_high - window.y_low)
    return [(float(a), float(b)) for a, b in np.clip(np.stack([x, y], 1), -0.5, 1.5) * SIDE * _SCALE]


def _name(canvas: Image.Image, path: Path, top: int) -> None:
    known = writable(path.name, 13)
    if known is not None:
        ImageDraw.Draw(canvas).rectangle((8, top + 4, 16, top + 12), fill=_COLOURS[path.tone])
        write(canvas, known[0], (22, top), known[1], BLACK)
