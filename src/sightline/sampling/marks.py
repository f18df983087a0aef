"""What every image that a network made carries in its file: that it is artificial, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# IPTC's term for "created by a generative model", which readers of metadata know.
TRAINED_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# Its term for a picture that is only in part made by one.
COMPOSITE_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
# Its term for a picture that an algorithm made, neither from photographs nor by a trained network.
ALGORITHMIC_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
_ENDS = ("/trainedAlgorithmicMedia", "/compositeWithTrainedAlgorithmicMedia", "/algorithmicMedia")


def artificial(run: str, *, seed: int, index: int | None = None, **conditions: object) -> dict[str, str]:
    """Text chunks of a PNG: keys of at most 79 Latin letters → text. `run` names the run and the hash of its recipe;
    `conditions`, such as a class, are left out where they are None."""
    own: Mapping[str, object | None] = {"Seed": seed, "Index": index} | {
        name.capitalize(): value for name, value in conditions.items()
    }
    return {
        "Software": "sightline",
        "Description": "Artificial image: made by a neural network, not photographed",
        "DigitalSourceType": TRAINED_MEDIA,
        "Run": run,
        **{name: str(value) for name, value in own.items() if value is not None},
    }


def translated(run: str) -> dict[str, str]:
    """The same for an image that a network made of another one."""
    return {
        "Software": "sightline",
        "Description": "Artificial image: made by a neural network of another image, not photographed",
        "DigitalSourceType": TRAINED_MEDIA,
        "Run": run,
    }


def swapped_face(run: str) -> dict[str, str]:
    """The same for an image in which a face was replaced or moved."""
    return {
        "Software": "sightline",
        "Description": "Artificial image: a face in it was replaced or moved by an algorithm; it was never photographed so",
        "DigitalSourceType": COMPOSITE_MEDIA,
        "Run": run,
    }


def rendered() -> dict[str, str]:
    """The same for an image that was computed without any network."""
    return {
        "Software": "sightline",
        "Description": "Artificial image: rendered, not photographed",
        "DigitalSourceType": ALGORITHMIC_MEDIA,
    }


def is_artificial(text: Mapping[Any, Any]) -> bool:
    """Whether the metadata of a picture say that an algorithm made it."""
    return str(text.get("DigitalSourceType", "")).endswith(_ENDS)
