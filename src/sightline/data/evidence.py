"""The evidence of a refusal: the first problems that led to it, with file and reason, in the error itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sightline.data.records.records import KEPT, Problem
from sightline.errors import DataError

SHOWN = 3


@contextmanager
def with_evidence(problems: Sequence[Problem]) -> Iterator[None]:
    """Add the first of the problems to a DataError that is raised inside, unless it names their file itself."""
    try:
        yield
    except DataError as error:
        grave = [problem for problem in problems if problem.action != KEPT and problem.file not in error.message]
        if not grave:
            raise
        lines = [f"{p.file}{f' line {p.line}' if p.line else ''}: {p.reason}" for p in grave[:SHOWN]]
        more = f" and {len(grave) - SHOWN:,} more" if len(grave) > SHOWN else ""
        raise DataError(f"{error.message}; problems: {'; '.join(lines)}{more}", error.hint or grave[0].fix) from error
