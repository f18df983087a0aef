"""Two kinds of task that the house does not know, made of nothing but what it offers: a GAN and pairs.

`python -m tests.own_kinds VERB …` is the command line with both registered. SIGHTLINE_TEST_KILL=n kills the process in
the n-th loss that it computes, which lies inside a step.
"""

from __future__ import annotations

from sightline.kinds import KINDS, register

from .gan import GAN
from .pairs import PAIRS

for _kind in (GAN, PAIRS):
    if _kind.name not in KINDS:
        register(_kind)
