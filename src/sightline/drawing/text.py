"""Words on pictures: the font, how wide a line is, and colours of ink that can be read on a background.

The font ships with Pillow, so a picture is the same on every machine. It has no letters beyond ASCII: a name with others is
written in a font of the system that has all of them, else without its accents, else not at all (None).
"""

from __future__ import annotations

import unicodedata
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from .svg import seen, shortened

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
_SYSTEM = ("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf", "NotoSansCJK-Regular.ttc")
_ABSENT = "\uffff"  # no font has it: it is drawn as the sign for an unknown letter
_BREAKS = " _-/."  # a long name is continued on a second line behind one of these


@cache
def fonts(size: int) -> tuple[Font, ...]:
    """The font of Pillow, then those of the system that can be found."""
    found: list[Font] = [ImageFont.load_default(size)]
    for name in _SYSTEM:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:
            continue
    return tuple(found)


def writable(text: object, size: int) -> tuple[str, Font] | None:
    """The visible text, or a plainer spelling of it, and a font that has all of its letters."""
    whole = seen(text)
    stripped = "".join(c for c in unicodedata.normalize("NFKD", whole) if not unicodedata.combining(c))
    for spelling in (whole, stripped):
        for font in fonts(size):
            if spelling and all(_has(font, letter) for letter in set(spelling)):
                return spelling, font
    return None


@cache
def _has(font: Font, letter: str) -> bool:
    if letter.isspace() or letter == "…":
        return letter in " …"
    mine, unknown = font.getmask(letter), font.getmask(_ABSENT)
    return (mine.size, bytes(mine)) != (unknown.size, bytes(unknown))


def width_of(text: str, font: Font) -> int:
    return round(font.getlength(text))


def height_of(font: Font) -> int:
    """From the top of a capital with an accent to the bottom of a g."""
    _, top, _, bottom = font.getbbox("Égjy(")
    return round(bottom - top)


def cut(text: str, width: int, font: Font) -> str:
    """The text in at most `width` pixels, its middle left out where it is too long."""
    length = len(text)
    while length > 1 and width_of(short := shortened(text, length), font) > width:
        length -= max(1, (len(short) * (width_of(short, font) - width)) // (2 * width_of(short, font)))
    return shortened(text, length)


def in_lines(text: str, width: int, font: Font) -> list[str]:
    """The text in one line, or in two if it is longer than `width` pixels; broken behind a word where there is one."""
    if width_of(text, font) <= width:
        return [text]
    fits = max((n for n in range(1, len(text)) if width_of(text[:n], font) <= width), default=1)
    behind = [n for n in range(fits // 2 + 1, fits + 1) if text[n - 1] in _BREAKS]
    first = behind[-1] if behind else fits
    return [text[:first].rstrip(), cut(text[first:].lstrip(), width, font)]


def ink(background: Colour) -> Colour:
    """Black or white, whichever contrasts more (WCAG 2, relative luminance)."""
    light = _luminance(background)
    return BLACK if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else WHITE


def _luminance(colour: Colour) -> float:
    red, green, blue = (c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def write(canvas: Image.Image, text: str, at: tuple[int, int], font: Font, colour: Colour, *, edge: int = 0) -> None:
    """Text whose top left corner is `at`; `edge` pixels of outline in the opposite ink."""
    _, top, _, _ = font.getbbox("Égjy(")
    ImageDraw.Draw(canvas).text(
        (at[0], at[1] - round(top)), text, fill=colour, font=font, stroke_width=edge, stroke_fill=ink(colour)
    )
