"""BLEU: the share of n-grams that a reference has, for n = 1 … 4, times a penalty for brevity.

    Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation"
    Post 2018, arXiv:1804.08771: with the tokens of mteval-v13a, as sacrebleu counts them

Counts of single sentences are summed over a set before anything is divided, so that resampling a set is resampling rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

ORDERS = 4
WIDTH = 2 * ORDERS + 2  # counts of a sentence: right and all n-grams, then its length and that of its reference
_APART = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def words_13a(text: str) -> list[str]:
    """The words of a text as mteval-v13a parts them: marks of punctuation are words, but not inside numbers.

    >>> words_13a("It's 3,000.5 (or so).")
    ["It's", '3,000.5', '(', 'or', 'so', ')', '.']
    """
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, mark in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, mark)
    text = f" {text} "
    for pattern, apart in _APART:
        text = pattern.sub(apart, text)
    return text.split()


def counts_of(answer: str, references: Sequence[str]) -> Float[np.ndarray, "10"]:
    """Of one sentence: n-grams that a reference has, each at most as often as there; all n-grams; its length, and that of the
    reference whose length is nearest."""
    words, others = words_13a(answer), [words_13a(reference) for reference in references]
    counts = np.zeros(WIDTH)
    for n in range(1, ORDERS + 1):
        own = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        allowed: Counter[tuple[str, ...]] = Counter()
        for other in others:
            allowed |= Counter(tuple(other[i : i + n]) for i in range(len(other) - n + 1))
        counts[n - 1] = sum((own & allowed).values())
        counts[ORDERS + n - 1] = sum(own.values())
    counts[-2] = len(words)
    counts[-1] = min((len(other) for other in others), key=lambda n: (abs(n - len(words)), n), default=0)
    return counts


def bleu(counts: Float[np.ndarray, "*b 10"]) -> Float[np.ndarray, "*b"]:
    """BLEU in 0 to 1 of summed counts. A precision of 0 counts as 1 / 2^k of one n-gram, at the k-th such order (exponential
    smoothing, sacrebleu's default); 0 where nothing is right."""
    right, every = counts[..., :ORDERS], counts[..., ORDERS : 2 * ORDERS]
    missing = (right == 0) & (every > 0)
    halved = 0.5 ** missing.cumsum(-1)
    precision = np.where(missing, halved, right) / np.maximum(every, 1)
    defined = (every > 0).all(-1) & (right[..., 0] > 0)
    logs = np.log(np.where(defined[..., None], precision, 1.0)).mean(-1)
    length, reference = counts[..., -2], counts[..., -1]
    brevity = np.minimum(0.0, 1 - reference / np.maximum(length, 1))
    return np.where(defined, np.exp(logs + brevity), 0.0)
