"""Merging the most frequent pair, over and over: how vocabularies of subwords are learned.

    Sennrich, Haddow & Birch 2016, arXiv:1508.07909

Counts are kept by pair with the words that hold it, so that a merge looks only at the words that it changes. Equally
frequent pairs are merged in the order of their parts' numbers, as the package tokenizers does.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

Pair = tuple[int, int]


def learn_merges(
    words: Mapping[tuple[str, ...], int], tokens: Sequence[str], size: int, *, prefix: str = ""
) -> tuple[list[str], list[tuple[str, str]]]:
    """The vocabulary of at most `size` tokens that begins with `tokens`, and its merges in order.

    words     how often each word occurs, as its first tokens
    prefix    of tokens that continue a word ("##"); it is dropped inside merged ones
    """
    known = list(tokens)
    number = {token: i for i, token in enumerate(known)}
    spelled = [[number[token] for token in word] for word in words]
    counts = list(words.values())
    pairs: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = defaultdict(set)
    for w, word in enumerate(spelled):
        for pair in pairwise(word):
            pairs[pair] += counts[w]
            where[pair].add(w)
    queue = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(queue)
    merges: list[tuple[str, str]] = []
    while queue and len(known) < size:
        count, pair = heapq.heappop(queue)
        if -count != pairs[pair] or not count:
            continue  # it was pushed again with its present count
        left, right = (known[part] for part in pair)
        token = left + right.removeprefix(prefix)
        if token not in number:
            number[token] = len(known)
            known.append(token)
        merges.append((left, right))
        changed: set[Pair] = set()
        for w in sorted(where.pop(pair)):
            changed |= _merge(spelled, w, pair, number[token], counts[w], pairs, where)
        del pairs[pair]
        for other in changed - {pair}:
            if pairs[other] > 0:
                heapq.heappush(queue, (-pairs[other], other))
    return known, merges


def _merge(
    spelled: list[list[int]],
    w: int,
    pair: Pair,
    new: int,
    count: int,
    pairs: Counter[Pair],
    where: dict[Pair, set[int]],
) -> set[Pair]:
    """Merge the pair within word w; the pairs whose counts change."""
    before = spelled[w]
    after = joined(before, pair, new)
    spelled[w] = after
    old, young = Counter(pairwise(before)), Counter(pairwise(after))
    changed = {each for each in old.keys() | young.keys() if old[each] != young[each]}
    for each in changed:
        pairs[each] += count * (young[each] - old[each])
        if young[each]:
            where[each].add(w)
    return changed


def joined(word: Sequence[int], pair: Pair, new: int) -> list[int]:
    """The word with every occurrence of the pair replaced, from the left.

    >>> joined([1, 1, 1, 2], (1, 1), 9)
    [9, 1, 2]
    """
    out: list[int] = []
    for part in word:
        if out and (out[-1], part) == pair:
            out[-1] = new
        else:
            out.append(part)
    return out
