"""Untrusted names and values as text that is safe to print, tabulate and log."""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Unicode categories: control, format (bidi), surrogate, private use, unassigned, line and paragraph separators
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def printable(name: str) -> str:
    """`name` without hidden characters: undecodable bytes as \\xNN; control, bidi and other invisible ones as \\uNNNN."""
    return name if name.isprintable() else "".join(_escape(c) for c in name)


def _escape(c: str) -> str:
    if 0xDC80 <= ord(c) <= 0xDCFF:  # a byte of a file name that is not UTF-8 (surrogateescape)
        return f"\\x{ord(c) - 0xDC00:02x}"
    if unicodedata.category(c) in _HIDDEN and c != "\u200d":  # the joiner inside emoji is harmless
        return f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
    return c


def csv_cell(value: Any) -> str:
    """One cell. Text that a spreadsheet would run as a formula is prefixed with an apostrophe (OWASP)."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str):
        return repr(value) if isinstance(value, float) else str(value)
    return f"'{value}" if value.startswith(_FORMULA) else value


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV of safe cells, `\\n` line ends; without a header, further lines of one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if header:
        writer.writerow([csv_cell(h) for h in header])
    writer.writerows([csv_cell(c) for c in row] for row in rows)
    return out.getvalue()


def plain(value: Any) -> Any:
    """The value with JSON types only: NaN and infinities become null, arrays lists, keys strings."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    if hasattr(value, "tolist"):  # numpy and torch scalars and arrays
        return plain(value.tolist())
    return str(value)


def json_text(value: Any, indent: int | None = 1) -> str:
    """ASCII JSON with the keys in the given order; lone surrogates survive as escapes."""
    return json.dumps(plain(value), indent=indent, allow_nan=False)
