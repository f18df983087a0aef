"""The registry of networks: each family is one file, and its variants register here under their own names."""

from __future__ import annotations

from sightline.registry import Registry

QUESTIONS = ("classification", "segmentation", "detection", "instances")
MODELS = Registry("model", QUESTIONS)
