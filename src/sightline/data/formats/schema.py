"""What the columns of a Parquet file mean: the image, the label, and the names of the classes.

The Hugging Face hub writes its features as JSON into the schema's metadata (key `huggingface`): `Image` and
`ClassLabel` with names. Without them the usual column names and the types decide; damaged metadata is ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sightline.data.records.names import class_texts
from sightline.errors import DataError, nearest
from sightline.storage.text import printable

from .recognition.boxes import box_columns

_IMAGES = ("image", "img", "images", "picture")
_LABELS = ("label", "labels", "fine_label", "class", "category", "target", "tags", "tag")


@dataclass(frozen=True)
class Meaning:
    """Column names; `label` and `classes` (names in index order) are None if the file does not say; `listed`: the column
    holds a list of labels, or of numbers, in each row."""

    image: str
    label: str | None
    classes: tuple[str, ...] | None
    listed: bool = False


def meaning(schema: pa.Schema, file: str, label_column: str | None = None) -> Meaning:
    """The meaning of the columns; `label_column` names that of the labels, where the user chose one. Raises DataError if none
    can hold images, or class names differ only in form."""
    features = _features(schema)
    fitting = [f.name for f in schema if _holds_bytes(f.type)]
    marked = [name for name in fitting if features.get(name, {}).get("_type") == "Image"]
    image = next((name for name in (*marked, *_IMAGES, *fitting) if name in fitting), None)
    if image is None:
        columns = ", ".join(f"{f.name}: {f.type}" for f in list(schema)[:8])
        raise DataError(
            f"{file} has no column of image bytes", f"store the encoded images in a column `image`; there are {columns}"
        )
    label = _label_column(schema, features, image, file, label_column)
    listed = label is not None and _is_list(schema.field(label).type)
    feature = features.get(label, {}) if label else {}
    inner = feature.get("feature")
    names = (inner if listed and isinstance(inner, dict) else feature).get("names")
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        return Meaning(image, label, None, listed)
    texts = class_texts(names)
    if len(texts) != len(names):
        raise DataError(f"{file} gives two classes one name", "rename one of them")
    return Meaning(image, label, tuple(texts[name] for name in names), listed)


def _label_column(
    schema: pa.Schema, features: dict[str, dict[str, Any]], image: str, file: str, named: str | None
) -> str | None:
    """The column that the user named; one that the metadata marks; else one with a usual name. Raises DataError if it holds no
    labels: another must not silently take its place."""
    marked = [f.name for f in schema if features.get(f.name, {}).get("_type") == "ClassLabel"]
    usual = [name for name in _LABELS if name in schema.names and name != image]
    label = next((n for n in (*(u for u in usual if u in marked), *marked, *usual)), None)
    if named is not None:
        if named not in schema.names or named == image:
            there = [name for name in schema.names if name != image]
            raise DataError(f"{file} has no column '{printable(named)}', which data.label names", nearest(named, there))
        label = named
    if boxes := box_columns([name for name in schema.names if name not in (image, label)]):
        raise DataError(
            f"{file}: boxes or outlines for each image, which are not read from Parquet: the column {', '.join(boxes)}",
            "export the annotations as COCO's JSON, or remove the column to train on labels alone",
        )
    if label is not None and _is_list(schema.field(label).type) and is_label(schema.field(label).type.value_type):
        return label
    if label is not None and pa.types.is_temporal(schema.field(label).type):
        raise DataError(
            f"{file}: the column {label} holds {schema.field(label).type}: dates instead of classes",
            "write a class for each image into the column",
        )
    if label is not None and not is_label(kind := schema.field(label).type):
        raise DataError(
            f"{file}: the column {label} holds {kind}, no labels",
            "use integers, text or booleans as classes, or lists of them for several labels per image",
        )
    return label


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Column → feature, from the hub's metadata; {} if there is none that can be read."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = metadata["info"]["features"]
        return {name: value for name, value in features.items() if isinstance(value, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _is_binary(kind.field(at).type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def is_label(kind: pa.DataType) -> bool:
    """Whether a column holds one value a row that can be a label: class numbers (integers; floats if the column has gaps),
    class names, or a dictionary of either."""
    if pa.types.is_dictionary(kind):
        return is_label(kind.value_type)
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return text or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
