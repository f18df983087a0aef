"""`docs/defaults.md` says what the code does: keys and defaults, worked examples of the rules, splits, presets, constants."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sightline.augmentation.presets import PRESETS
from sightline.data import splits
from sightline.engine import devices, optimizers
from sightline.preprocessing import decoder
from sightline.recipes import defaults
from sightline.recipes.defaults import Traits
from sightline.recipes.reading import all_keys, make_draft
from sightline.recipes.recipe import TASKS, Draft
from tests.complete_recipes import DIGITS, KNOWN, completed

PAGE = Path(__file__).parents[2] / "docs" / "defaults.md"
TEXT = PAGE.read_text(encoding="utf-8")
CONSTANTS = [
    (defaults, "SMALL_SIDE"), (defaults, "SMALL_INPUT"), (defaults, "SMALL_PATCHES"), (defaults, "HEAVY"),
    (defaults, "MEDIUM_SIDE"), (defaults, "LARGE_INPUT"), (splits, "CARVED"),
    (devices, "BF16_WORTH"), (decoder, "MAX_PIXELS"), (decoder, "MAX_BYTES"),
]  # fmt: skip


def table(first: str, last: str) -> list[list[str]]:
    """The cells of the table whose header begins and ends with these words, row by row."""
    lines = TEXT.splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith(f"| {first} |") and line.endswith(f"| {last} |")]
    assert len(heads) == 1, f"{len(heads)} tables {first} … {last}"
    rows = []
    for line in lines[heads[0] + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def flat(recipe: Draft) -> dict[str, Any]:
    """Dotted key → value; of the task's keys also those of other tasks than the recipe's, with their defaults."""
    whole = recipe.model_dump(mode="json")
    others = [TASKS[kind](kind=kind).model_dump(mode="json") for kind in TASKS]
    whole["task"] = {k: v for section in reversed(others) for k, v in section.items()} | (whole["task"] or {})
    return {k: whole[k] if "." not in k else whole[k.split(".")[0]][k.split(".")[1]] for k in all_keys()}


def code(value: Any) -> str:
    """A value as the page prints it: as YAML would, strings bare."""
    return f"`{json.dumps(value).strip(chr(34))}`"


def test_every_key_with_its_default() -> None:
    printed = {key.strip("`"): default for key, default, _ in table("key", "meaning")}
    assert printed == {key: code(value) for key, value in flat(Draft()).items()}


def test_what_a_rule_fills_is_said() -> None:
    """The keys marked "by rule", and those of the table of rules, are those that `complete` fills."""
    empty = flat(Draft())
    full = flat(completed(Draft(), DIGITS))
    filled = {key for key in empty if empty[key] is None and full[key] is not None}
    assert {key.strip("`") for key, _, meaning in table("key", "meaning") if meaning.startswith("by rule")} == filled
    assert {name for keys, _ in table("key", "rule") for name in re.findall(r"`(.+?)`", keys)} == filled


@pytest.mark.parametrize("row", table("n", "rate"), ids=" ".join)
def test_an_example_is_what_the_rules_give(row: list[str]) -> None:
    n, size, channels, aspects, *said = row
    height, width = (int(side) for side in size.split("x"))
    traits = Traits(int(n), height, width, grey=channels == "1", one_aspect=aspects == "one", classes=10)
    got = completed(Draft(), traits)
    assert str(got.input.channels) == channels
    assert said == [
        got.model.name, str(got.input.size), got.input.fit, got.augment.preset, "on" if got.augment.flip else "off",
        str(got.fit.batch), f"{got.fit.epochs:g}", got.optim.name, f"{got.optim.lr:g}",
    ]  # fmt: skip


@pytest.mark.parametrize("row", table("task", "monitor"), ids=lambda row: row[0])
def test_pixels_and_boxes(row: list[str]) -> None:
    kind, model, pixels, batch, steps, rate, monitor = row
    traits = Traits(n=360, height=360, width=480, grey=False, one_aspect=True, classes=3, knows=KNOWN[kind])
    got = completed(Draft(), traits)
    assert [got.task.kind, got.model.name, str(got.fit.batch), f"{got.optim.lr:g}", got.fit.monitor] == [
        kind, model, batch, rate, monitor,
    ]  # fmt: skip
    assert got.input.size and got.input.width and got.fit.epochs
    assert got.input.size % 32 == got.input.width % 32 == 0
    assert got.input.size * got.input.width == int(pixels)  # 3:4 fits both budgets exactly
    assert int(steps) <= got.fit.epochs * 360 / int(batch) < int(steps) + 360 / int(batch)


def test_the_examples_stand_on_both_sides_of_every_threshold() -> None:
    """Else a moved threshold would not be seen."""
    rows = table("n", "rate")
    sides = {max(int(side) for side in row[1].split("x")) for row in rows}
    for threshold in (defaults.SMALL_SIDE, defaults.MEDIUM_SIDE):
        assert {threshold, threshold + 1} <= sides
    assert {999, 1_000, 1_999, 2_000, 9_999, 10_000} <= {int(row[0]) for row in rows}


@pytest.mark.parametrize("row", table("optimiser", "decay"), ids=lambda row: row[0])
def test_what_an_optimiser_starts_with(row: list[str]) -> None:
    name, rate, momentum, nesterov, decay = row
    got = completed(make_draft({}, {"optim.name": name, "fit.batch": 128}), DIGITS).optim
    assert f"{got.lr:g}" == rate.removesuffix(" · batch / 128")
    assert [f"{got.momentum:g}", f"{got.weight_decay:g}"] == [momentum, decay]
    assert got.nesterov == (nesterov.split(",")[0] == "on")
    if rate.endswith("batch / 128"):
        halved = completed(make_draft({}, {"optim.name": name, "fit.batch": 64, "optim.momentum": 0}), DIGITS).optim
        assert (halved.lr, halved.nesterov) == (got.lr / 2, False)


def test_every_optimiser_is_there() -> None:
    assert [row[0] for row in table("optimiser", "decay")] == list(optimizers.OPTIMIZERS)


@pytest.mark.parametrize("row", table("images", "test"), ids=" ".join)
def test_shares_of_the_splits(row: list[str]) -> None:
    n = int(row[0].rsplit(" ", 1)[1]) - row[0].startswith("fewer than")
    assert [float(share) for share in row[1:]] == list(splits.fractions_for(n))


def test_the_shares_change_only_where_said() -> None:
    starts = [int(row[0].rsplit(" ", 1)[1]) for row in table("images", "test") if row[0].startswith("from")]
    for start in starts:
        assert splits.fractions_for(start - 1) != splits.fractions_for(start)
    around = sorted({n + d for n in (1, *starts) for d in (0, -1)} | {10**e for e in range(10)})
    assert len({splits.fractions_for(n) for n in around}) == len(starts) + 1


def test_presets_and_their_operations() -> None:
    printed = {
        name.strip("`"): re.findall(r"`(\w+)`", operations) for name, operations in table("preset", "operations")
    }
    assert printed == {name: [op.name for op in operations(32)] for name, operations in PRESETS.items()}
    said = {
        name.strip("`"): re.findall(r"`(\w+=.+?)`", values) for name, values, _ in table("operation", "what it does")
    }
    known = {op.name: op for operations in PRESETS.values() for op in operations(32)}
    assert said.keys() == known.keys()
    for name, op in known.items():
        own = [f"{field.name}={getattr(op, field.name)}" for field in fields(op)]
        assert said[name] == (own if name not in ("shift", "elastic") else [])  # their pixels follow the side
    shifts = [int(op.pixels) for side in (32, 96) for op in PRESETS["light"](side) if op.name == "shift"]
    assert f"{shifts[0]} of 32, {shifts[1]} of 96" in TEXT


@pytest.mark.parametrize(("module", "name"), CONSTANTS, ids=[name for _, name in CONSTANTS])
def test_constants(module: Any, name: str) -> None:
    assert re.findall(rf"`{name}` = ([\d.,]*\d)", TEXT) == [f"{getattr(module, name):,}"]


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    links = re.findall(r"\]\((.+?)\)", TEXT)
    assert len(links) > 10
    for link in links:
        path, _, anchor = link.partition("#")
        assert (PAGE.parent / path).exists(), link
        assert not anchor or path or anchor in headings, link
