"""The API in the words of OpenAPI, and as a page that loads nothing."""

from __future__ import annotations

from importlib import resources
from typing import Any

from .uploads import FORM, TYPES

PAGE = (resources.files("sightline.serving") / "page.html").read_text(encoding="utf-8")
_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_REASONS = {
    400: "The request or its form cannot be read",
    401: "The token is missing or wrong",
    403: "A page of another site sent it",
    413: "The body is too large",
    415: "Neither an image nor a form",
    421: "Host is not a name of this server",
    422: "No image can be used, or a parameter is wrong; `code` names the reason",
    503: "Overloaded, not ready or stopping: try again after the seconds of Retry-After",
}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_ERROR = _object(
    {"error": _object({"code": _TEXT, "message": _TEXT, "hint": _TEXT}, "code", "message", "hint")}, "error"
)
_BOX = _object(
    {
        "label": _TEXT,
        "score": _NUMBER,
        "xyxy": {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4, "description": "Pixels of the image."},
        "rle": {"type": "object", "description": "The mask: COCO's compressed run lengths, {size: [h, w], counts}."},
    },
    "label", "score", "xyxy",
)  # fmt: skip
_ROW = _object(
    {
        "name": {"type": "string", "description": "Of the upload, where the images came as a form."},
        "label": {"type": ["string", "null"], "description": "Null if it is none of `classes`."},
        "probability": {"type": ["number", "null"]},
        "uncertain": {"type": "boolean", "description": "Present if the probability is below `conf`."},
        "top": {
            "type": "array",
            "description": "[class, probability], the most likely first.",
            "items": {"type": "array"},
        },
        "boxes": {"type": "array", "items": _BOX},
        "mask": {
            "type": "string",
            "description": "PNG in base64, of the image's size; its values are indexes of classes.",
        },
        "shares": {"type": "object", "description": "Class to its share of the pixels."},
        "error": {"type": "string", "description": "Why this image, of several, was not used."},
    }
)
INFO = _object(
    {
        "server": _TEXT, "name": _TEXT, "task": _TEXT, "network": _TEXT, "precision": _TEXT,
        "classes": {"type": "array", "items": _TEXT}, "paths": {"type": "array", "items": _TEXT},
    },
    "server", "name", "task", "classes",
)  # fmt: skip
PREDICTIONS = _object({"model": _TEXT, "predictions": {"type": "array", "items": _ROW}}, "model", "predictions")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers that are errors, by their status."""
    content = {"application/json": {"schema": _ERROR}}
    retry = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return {
        status: {"description": _REASONS[status], "content": content, **({"headers": retry} if status == 503 else {})}
        for status in statuses
    }


def public(schema: dict[str, Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answer and the errors of a route that needs the token, where there is one."""
    good: dict[int | str, dict[str, Any]] = {
        200: {"description": "The answer", "content": {"application/json": {"schema": schema}}}
    }
    return {**good, **errors(*sorted({401, 421, *statuses}))}


def body_schema() -> dict[str, Any]:
    """One image, or a form with several."""
    image = {"schema": {"type": "string", "format": "binary"}}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1, "maxItems": 16}
    form = {"schema": _object({"files": files}, "files")}
    return {"required": True, "content": {**{kind: image for kind in TYPES}, FORM: form}}
