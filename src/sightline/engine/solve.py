"""Networks that are solved, not descended: the loop beside `fit`.

A step is one chunk of the solution, such as a vocabulary, or a pass of a support vector machine over the images. State,
checkpoints, validations and signals are those of `fit`. What a chunk leaves lies in buffers of the networks, and the chunk is
a pure function of these and its number, so a solution that was killed and resumed ends bit-identical.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from sightline.errors import DivergedError

from .fit import Action
from .state import State, weighted


def solve(
    advance: Callable[[int], Mapping[str, float]],
    steps: int,
    *,
    state: State | None = None,
    every: Sequence[tuple[int, Action]] = (),
    watch: Callable[[int], None] = lambda step: None,
    stop: Callable[[], bool] = lambda: False,
    rescue: Action = lambda state: None,
) -> State:
    """Work from `state` (None: from the start) until all `steps` chunks are done, an action ends it, or `stop()` is true.

    advance    number of a chunk → what it has measured, by name; the learned arrays change in place
    every, watch, stop, rescue   as of `fit`; an error within a chunk leaves nothing to rescue but the chunks before

    Raises DivergedError for a chunk that measured a number that is not finite.
    """
    state = state or State()
    while state.step < steps and state.ended is None:
        measured = advance(state.step)
        if bad := [name for name, value in measured.items() if not math.isfinite(value)]:
            raise DivergedError(f"chunk {state.step + 1} of {steps}: {bad[0]} is not finite", "use a lower rate")
        pairs = weighted({name: torch.tensor(value) for name, value in measured.items()}, torch.ones(()))
        for meter in (state.logged, state.epoch):
            meter.add(pairs)
        state.step += 1
        last = state.step == steps
        if last:
            state.ended = "finished"
        with _rescuing(state, rescue):
            for n, action in every:
                if state.step % n == 0 or last:
                    action(state)
        watch(state.step)
        if stop():
            break
    return state


@contextlib.contextmanager
def _rescuing(state: State, rescue: Action) -> Iterator[None]:
    """Between two chunks the state is consistent, so an action that fails costs nothing."""
    try:
        yield
    except Exception:
        rescue(state)
        raise
