"""What a method leaves: its part of the page, raw arrays with their units, and facts for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sightline.reports.features.topic import Topic


class Values(NamedTuple):
    """An array, its unit, and what its axes are."""

    array: np.ndarray
    unit: str
    axes: str


@dataclass(frozen=True)
class Outcome:
    topic: Topic
    arrays: Mapping[str, Values] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
