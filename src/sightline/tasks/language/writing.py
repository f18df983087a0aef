"""Writing a text token by token: the most probable one each time, or the best of several beams.

    Graves 2012, arXiv:1211.3711 (beam search over sequences); Wu et al. 2016, arXiv:1609.08144 (the length penalty, eq. 14)

A network writes through two methods: `start(…) → state` and `step(token (b, 1), state) → scores (b, v)`; a state can keep
rows of its batch (`take`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.preprocessing.tokens.vocabulary import END, MASK, PAD, START

Step = Callable[[Tensor, Any], Tensor]
PENALTY = 0.6  # exponent of the length
NEVER = (PAD, START, MASK)  # tokens that no text has


def write(
    step: Step, state: Any, rows: int, *, tokens: int, longest: int, beams: int = 1, device: torch.device | str = "cpu"
) -> tuple[list[list[int]], Float[Tensor, "b"]]:
    """The tokens of each of `rows` texts, without START and END, at most `longest`, and the probability of each. A network
    may have more rows than the vocabulary has `tokens`; they are never written."""

    def scores(token: Tensor, state: Any) -> Tensor:
        return _scores(step, token, state, tokens)

    if beams == 1:
        return _greedy(scores, state, rows, longest, device)
    return _beam(scores, state, rows, longest, beams, device)


def go_on(model: Any, head: Int[Tensor, "n"], *, tokens: int, longest: int) -> tuple[list[int], float]:
    """The likeliest tokens after `head`, one each time, until END or `longest`, and their probability."""
    state, token, rest, total = model.start(), head[None], [], 0.0
    for _ in range(longest):
        best, token = _scores(model.step, token, state, tokens).max(1, keepdim=True)
        total += float(best)
        if int(token) == END:
            break
        rest.append(int(token))
    return rest, float(np.exp(total))


def _scores(step: Step, token: Int[Tensor, "r n"], state: Any, tokens: int) -> Float[Tensor, "r v"]:
    """Logarithms of the probabilities of the next token."""
    scores = step(token, state).float()[:, :tokens].clone()
    scores[:, list(NEVER)] = -torch.inf
    return scores.log_softmax(1)


def _greedy(
    scores: Step, state: Any, rows: int, longest: int, device: torch.device | str
) -> tuple[list[list[int]], Float[Tensor, "b"]]:
    token = torch.full((rows, 1), START, device=device)
    total, going = torch.zeros(rows, device=device), torch.ones(rows, dtype=torch.bool, device=device)
    written = []
    for _ in range(longest):
        best, token = scores(token, state).max(1, keepdim=True)
        total = total + torch.where(going, best[:, 0], 0.0)
        token = token.where(going[:, None], END)
        written.append(token)
        going = going & (token[:, 0] != END)
        if not going.any():
            break
    texts = torch.cat(written, 1).tolist()
    return [row[: row.index(END)] if END in row else row for row in texts], total.exp()


def _beam(
    scores: Step, state: Any, rows: int, longest: int, beams: int, device: torch.device | str
) -> tuple[list[list[int]], Float[Tensor, "b"]]:
    """Beams of one text are neighbours: row b · beams + k. A finished beam keeps its score and writes END on and on."""
    state.take(torch.arange(rows, device=device).repeat_interleave(beams))
    total = torch.full((rows, beams), -torch.inf, device=device)
    total[:, 0] = 0.0  # all beams of a text begin alike, and only one may go on
    length = torch.zeros(rows, beams, device=device)
    done = torch.zeros(rows, beams, dtype=torch.bool, device=device)
    written = torch.full((rows * beams, 1), START, device=device)
    for _ in range(longest):
        logs = scores(written[:, -1:], state).unflatten(0, (rows, beams))  # (b, k, v)
        stay = torch.full_like(logs, -torch.inf)
        stay[..., END] = 0.0
        logs = torch.where(done[..., None], stay, logs)
        longer = length + (~done).float()
        sums = total[..., None] + logs
        ranked = sums / _penalty(longer)[..., None]
        _, at = ranked.flatten(1).topk(beams, 1)  # (b, k)
        beam, token = at // logs.shape[2], at % logs.shape[2]
        total, length, done = sums.flatten(1).gather(1, at), longer.gather(1, beam), done.gather(1, beam)
        done = done | (token == END)
        rows_at = (beam + beams * torch.arange(rows, device=device)[:, None]).flatten()
        state.take(rows_at)
        written = torch.cat([written[rows_at], token.flatten()[:, None]], 1)
        if done.all():
            break
    best = (total / _penalty(length)).argmax(1)
    chosen = written.unflatten(0, (rows, beams))[torch.arange(rows, device=device), best][:, 1:].tolist()
    texts = [row[: row.index(END)] if END in row else row for row in chosen]
    return texts, total.gather(1, best[:, None])[:, 0].exp()


def _penalty(length: Tensor) -> Tensor:
    """What the logarithm of a text's probability is divided by, so that longer ones are not worse for being longer."""
    return ((5 + length) / 6) ** PENALTY
