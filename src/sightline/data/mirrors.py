"""Classes that are each other's mirror image by their names: left and right, in any place and in several languages.

A flip would turn the picture of the one into that of the other, and keep its label.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_WORDS = (
    ("left", "right"), ("leftward", "rightward"), ("leftwards", "rightwards"), ("lefthand", "righthand"),
    ("port", "starboard"), ("clockwise", "counterclockwise"), ("clockwise", "anticlockwise"), ("cw", "ccw"),
    ("east", "west"), ("eastbound", "westbound"), ("links", "rechts"), ("linke", "rechte"), ("gauche", "droite"),
    ("izquierda", "derecha"), ("izquierdo", "derecho"), ("sinistra", "destra"), ("esquerda", "direita"), ("vanster", "hoger"),
    ("lewo", "prawo"), ("dexter", "sinister"), ("levo", "pravo"), ("venstre", "hoyre"), ("sol", "sag"), ("左", "右"),
    ("влево", "вправо"), ("налево", "направо"), ("лево", "право"), ("левый", "правый"), ("يسار", "يمين"),
)  # fmt: skip
_LETTERS = (
    ("l", "r"),
    ("lt", "rt"),
    ("od", "os"),
    ("lh", "rh"),
    ("e", "w"),
    ("ne", "nw"),
    ("se", "sw"),
)  # words of their own
_WHOLE = (("b", "d"), ("p", "q"), ("<", ">"), ("(", ")"), ("[", "]"), ("{", "}"), ("/", "\\"), ("←", "→"), ("⬅", "➡"),
          ("«", "»"), ("slash", "backslash"), ("↖", "↗"), ("↙", "↘"), ("👈", "👉"))  # fmt: skip
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[^\W_]|[\W_]+")
_LONG = 4  # letters of a word that may be part of another: turnleft


def mirrored_pair(classes: Iterable[str]) -> tuple[str, str] | None:
    """The first two classes whose names differ by left and right alone, whatever stands between their words; None where there
    are none."""
    names = {_key(name): name for name in classes}
    for key in sorted(names):
        for other in _mirrors(names[key]):
            if other != key and other in names:
                return names[key], names[other]
    return None


def _mirrors(name: str) -> list[str]:
    """The keys of the name with its words for one side exchanged."""
    key = _key(name)
    found = [two for pair in _WHOLE for one, two in (pair, pair[::-1]) if key == one]
    pieces = [piece.casefold() for piece in _PIECE.findall(_unaccented(name))]
    for pair in (*_WORDS, *_LETTERS):
        for one, two in (pair, pair[::-1]):
            if one in pieces:
                found.append(_key("".join(two if piece == one else piece for piece in pieces)))
            if one in key and (len(one) >= _LONG or not one.isascii()):
                found.append(key.replace(one, two))
    return found


def _key(name: str) -> str:
    """The letters and digits in lower case; all of it where there are none."""
    plain = _unaccented(name).casefold().strip()
    return re.sub(r"[\W_]+", "", plain) or plain


def _unaccented(name: str) -> str:
    """Without accents: links beside vänster and höger."""
    parts = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part))).replace(
        "ø", "o"
    )
