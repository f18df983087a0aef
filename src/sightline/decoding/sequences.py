"""Scores over time → a text: connectionist temporal classification without knowing where a letter is.

    Graves, Fernández, Gomez & Schmidhuber 2006, "Connectionist Temporal Classification" (ICML)
    Hannun, Maas, Jurafsky & Ng 2014, arXiv:1408.2873, algorithm 1: the beam search over prefixes

A path has a symbol or the blank at every step; its text is what remains when repeated symbols are merged and blanks dropped.
`aab-b` with the blank `-` is "abb".
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

BLANK = 0


def best_path(logs: Float[np.ndarray, "t v"]) -> tuple[list[int], float]:
    """The text of the likeliest path, and the probability of that path; `logs` are logarithms of probabilities."""
    path = logs.argmax(1)
    keep = (path != BLANK) & np.concatenate(([True], path[1:] != path[:-1]))
    return path[keep].tolist(), float(np.exp(logs.max(1).sum()))


def best_text(logs: Float[np.ndarray, "t v"], beams: int, symbols: int = 8) -> tuple[list[int], float]:
    """The text whose paths together are likeliest, among the `beams` best prefixes at each step, and its probability. At a
    step only the `symbols` likeliest are followed."""
    # Of each prefix: the logarithm of the probability of its paths that end with the blank, and that do not.
    prefixes: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for step in logs:
        likely = np.argsort(-step, kind="stable")[:symbols].tolist()
        longer: dict[tuple[int, ...], list[float]] = {}

        def add(
            prefix: tuple[int, ...], place: int, value: float, to: dict[tuple[int, ...], list[float]] = longer
        ) -> None:
            ends = to.setdefault(prefix, [-np.inf, -np.inf])
            ends[place] = float(np.logaddexp(ends[place], value))

        for prefix, (blank, symbol) in prefixes.items():
            whole = float(np.logaddexp(blank, symbol))
            for s in likely:
                value = float(step[s])
                if s == BLANK:
                    add(prefix, 0, whole + value)
                elif prefix and prefix[-1] == s:
                    add(prefix, 1, symbol + value)  # the same letter, held
                    add((*prefix, s), 1, blank + value)  # a second one, after a blank
                else:
                    add((*prefix, s), 1, whole + value)
        best = sorted(longer.items(), key=lambda item: (-np.logaddexp(item[1][0], item[1][1]), item[0]))[:beams]
        prefixes = {prefix: (ends[0], ends[1]) for prefix, ends in best}
    text, ends = max(prefixes.items(), key=lambda item: np.logaddexp(*item[1]))
    return list(text), float(np.exp(np.logaddexp(*ends)))
