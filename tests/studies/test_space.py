"""What a search tries, from words and from Python."""

from __future__ import annotations

from typing import Any

import pytest

from sightline.errors import UsageError
from sightline.verbs.studies.space import Choices, Span, parse_space, space_text


def test_spans_choices_and_values_are_told_apart() -> None:
    fixed, space = parse_space(
        ["optim.lr=1e-4..1e-1:log", "fit.batch=16,32,64", "fit.clip=0..5", "optim.momentum=0.5..0.9", "input.size=24",
         "model.options.hidden=[64,32]", "augment.flip=true,false"]
    )  # fmt: skip
    assert fixed == {"input.size": 24, "model.options.hidden": [64, 32]}
    assert space == {
        "optim.lr": Span(1e-4, 1e-1, True, False), "fit.batch": Choices((16, 32, 64)), "fit.clip": Span(0, 5, False, True),
        "optim.momentum": Span(0.5, 0.9, False, False), "augment.flip": Choices((True, False)),
    }  # fmt: skip
    assert space_text(space)["optim.lr"] == "0.0001..0.1:log"
    assert parse_space([f"{key}={text}" for key, text in space_text(space).items()])[1] == space, (
        "its text is the same space"
    )


def test_python_writes_lists_or_the_same_words() -> None:
    fixed, space = parse_space(
        {"optim.lr": "1e-3..1e-1:log", "model.options.hidden": [[64], [32, 32]], "fit.epochs": 2}
    )
    assert fixed == {"fit.epochs": 2}
    assert space == {"optim.lr": Span(1e-3, 1e-1, True, False), "model.options.hidden": Choices(([64], [32, 32]))}


def test_numbers_are_short_and_stay_within_their_span() -> None:
    span = Span(0.012351, 0.5, True, False)
    assert span.stored(0.0123511) == 0.012351 and span.stored(0.333333333) == 0.3333
    assert Span(2, 9, False, True).stored(4) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optim.lr=1..0.1"], "the first number must be smaller"),
        (["optim.lr=0..0.1:log"], "begins above 0"),
        (["optim.lr=0.1..1:sqrt"], "the scale of a span"),
        (["optim.lr=0.1..1e999"], "smaller than the second"),
        (["seed=1,2"], "cannot be searched"),
        (["data.val=0.1..0.2"], "cannot be searched"),
        (["optim.lr=1,2", "optim.lr=0.1"], "has a value and is searched"),
        (["optim.lr=1,2", "optim.lr=3,4"], "set twice"),
    ],
)
def test_what_is_no_space_is_refused(words: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_space(words)
