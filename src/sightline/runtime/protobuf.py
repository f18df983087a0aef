"""Does an ONNX file refer to data outside itself? A short walk over its protobuf fields, before any library opens it.

External data name a path, which a hostile file may point anywhere (CVE-2022-25882, CVE-2024-27318). Exports are
self-contained, so any such reference is refused. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from sightline.errors import DamagedError

_INSIDE = {  # message → its fields that may hold tensors, by number → their message
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of a tensor
_FIXED = {1: 8, 5: 4}  # wire type → bytes


def require_self_contained(data: bytes, name: str) -> None:
    """DamagedError for a file that is no protobuf, or has a tensor with external data."""
    view, waiting = memoryview(data), [("model", 0, len(data))]
    try:
        while waiting:
            message, start, end = waiting.pop()
            for field, wire, first, last in fields(view, start, end):
                if message == "tensor":
                    outside = field == _EXTERNAL_DATA or (field == _DATA_LOCATION and wire == 0 and first != 0)
                    if outside:
                        raise DamagedError(f"{name} refers to weights in another file", "export the run again")
                elif wire == 2 and (inner := _INSIDE[message].get(field)) is not None:
                    waiting.append((inner, first, last))
    except (IndexError, KeyError) as error:
        raise DamagedError(f"{name} is not an ONNX file", "export the run again") from error


def fields(view: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field, wire type, first byte, end) of each field; for a number its value stands for the first byte."""
    place = start
    while place < end:
        key, place = _varint(view, place)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(view, place)
            yield field, wire, value, place
            continue
        length = _FIXED.get(wire)
        if length is None:
            if wire != 2:
                raise IndexError("a group, which ONNX does not use")
            length, place = _varint(view, place)
        if place + length > end:
            raise IndexError("a field that ends after its message")
        yield field, wire, place, place + length
        place += length


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise IndexError("a number of more than 64 bits")
