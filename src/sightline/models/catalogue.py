"""The registry of networks: each family is one file, and its variants register here under their own names."""

from __future__ import annotations

from sightline.registry import Registry

from .own import builder, is_own

# A heading says what a network outputs. A kind of task names the one that it needs; others may be added anywhere.
CLASS_SCORES, PIXEL_SCORES = "class scores", "pixel scores"
SOLVED = "class scores, solved"  # pipelines of the room `classical`, which answer as classifiers do
MODELS = Registry("model", CLASS_SCORES, elsewhere=(is_own, builder))
