"""train --folds and --seeds: every image is tested once, copies and groups stay together, the mean has an interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import sightline
from sightline.data.folds import Fold, assign_fold
from sightline.errors import DataError, UsageError
from sightline.kinds.opening import draft, open_dataset
from sightline.runs.console import Console
from sightline.runs.run import open_run
from sightline.verbs.studies.judged import evaluate_study
from sightline.verbs.studies.repeats import mean_interval, verdict_of
from tests.tiny_data import png

QUIET = Console(-1)


def table(root: Path, rows: list[tuple[str, int, str, str, str]]) -> Path:
    """A table of (name, number of the picture, label, split, person)."""
    root.mkdir()
    lines = ["path,label,split,person"]
    for name, number, *cells in rows:
        (root / name).write_bytes(png(number))
        lines.append(",".join([name, *cells]))
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def people(root: Path) -> Path:
    """Twelve people with two pictures each; one picture of the first two is the same."""
    rows = [(f"{i}.png", 1 if i == 4 else i, "ab"[i // 2 % 2], "", f"p{i // 2}") for i in range(24)]
    return table(root, rows)


def test_folds_keep_copies_and_groups_together_and_the_mean_has_an_interval(tmp_path: Path) -> None:
    data = people(tmp_path / "data")
    study = sightline.cross_validate(
        str(data), ["data.group=person"], folds=2, model="linear", epochs=1, out=tmp_path / "s", console=QUIET
    )
    assert study.finished and study.kind == "folds" and (tmp_path / "s" / "study.html").is_file()
    runs = study.runs()
    assert [run.recipe.data.fold for run in runs] == ["1/2", "2/2"]
    opened = open_dataset(draft(str(data), ["data.group=person"], {}), QUIET)
    splits = np.stack([assign_fold(opened.audit, Fold(i, 2)).split for i in (1, 2)])
    assert (splits == 2).sum(0).tolist() == [1] * 24, "each image is tested once"
    person = [record.group for record in opened.records]
    for split in splits:
        assert all(len({int(s) for s, p in zip(split, person, strict=True) if p == one}) == 1 for one in person)
        assert split[1] == split[4] and split[0] == split[5], "a copy ties two people together"
    values = [run.metrics["test"]["accuracy"] for run in runs]
    found = study.facts["metrics"]["accuracy"]
    assert found["mean"] == pytest.approx(np.mean(values)) and found["values"] == values
    judged = evaluate_study(tmp_path / "s", console=QUIET)
    assert judged["n"] == 24 and judged["metrics"]["accuracy"] == pytest.approx(np.mean(values))
    (tmp_path / "s" / "study.html").unlink()
    assert sightline.report(tmp_path / "s") == tmp_path / "s" / "study.html"
    with pytest.raises(UsageError, match="study on folds"):
        sightline.compare([tmp_path / "s", runs[0].folder])
    before = (runs[0].folder / "manifest.json").read_bytes()
    again = sightline.cross_validate(
        str(data), ["data.group=person"], folds=2, model="linear", epochs=1, out=tmp_path / "s", console=QUIET
    )
    assert (
        again.facts["metrics"] == study.facts["metrics"] and (runs[0].folder / "manifest.json").read_bytes() == before
    )
    assert open_run(tmp_path / "s" / "2").recipe.seed == 0


def test_the_interval_of_folds_allows_for_shared_images() -> None:
    values = [0.8, 0.9, 0.85, 0.95]
    plain, folds = mean_interval(values)[1], mean_interval(values, shared=1 / 3)[1]
    assert plain is not None and folds is not None
    assert plain == pytest.approx(stats.t.interval(0.95, 3, np.mean(values), stats.sem(values)))
    assert (folds[1] - folds[0]) / (plain[1] - plain[0]) == pytest.approx(np.sqrt((1 / 4 + 1 / 3) / (1 / 4)))
    assert mean_interval([0.5]) == (0.5, None) and mean_interval([]) == (None, None)


def test_what_overlaps_is_not_distinguishable() -> None:
    def one(name: str, *values: float) -> dict[str, Any]:
        mean, interval = mean_interval(values)
        return {"name": name, "results": values, "mean": mean, "interval": interval}

    close = [one("trial 1", 0.90, 0.91, 0.92), one("trial 2", 0.91, 0.90, 0.91), one("as it is", 0.1, 0.11, 0.1)]
    assert "trial 1 has the best mean" in verdict_of(close, "accuracy", lower=False)
    assert verdict_of(close, "accuracy", lower=False).endswith(
        "not distinguishable from trial 2: their intervals overlap."
    )
    assert verdict_of(close, "loss", lower=True).startswith(
        "as it is is better than the others"
    ) or "as it is" in verdict_of(close, "loss", lower=True)
    assert "one seed" in verdict_of([one("trial 1", 0.9)], "accuracy", lower=False)


def split_in_two(root: Path, *, same: int, person: str) -> Path:
    """Given splits; picture 20 of test is `same`, and belongs to `person`."""
    rows = [(f"{i}.png", i, "ab"[i % 2], "train", f"p{i}") for i in range(10)]
    rows += [(f"{i}.png", i, "ab"[i % 2], "test", f"p{i}") for i in range(10, 19)]
    return table(root, [*rows, ("20.png", same, "ab"[same % 2], "test", person)])


@pytest.mark.parametrize(
    ("same", "person", "words"),
    [
        (3, "p20", "3.png (train) has the same pixels as 20.png (test)"),
        (40, "p4", "4.png (train) is of the same group, p4, as 20.png (test)"),
    ],
)
def test_copies_and_groups_on_both_sides_are_stopped_and_named(
    tmp_path: Path, same: int, person: str, words: str
) -> None:
    data = split_in_two(tmp_path / "data", same=same, person=person)
    given = draft(str(data), ["data.group=person"], {})
    with pytest.raises(DataError) as caught:
        open_dataset(given, QUIET)
    assert words in caught.value.message
    dropped = open_dataset(draft(str(data), ["data.group=person", "data.leaks=drop"], {}), QUIET)
    assert len(dropped.ids("test")) == 10 and dropped.used.sum() == 19


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    data = str(people(tmp_path / "data"))
    for options, message in (
        ({}, "folds or seeds"),
        ({"folds": 2, "seeds": 2}, "folds or seeds"),
        ({"folds": 1}, "--folds is 1"),
        ({"folds": 2, "overrides": ["data.fold=1/2"]}, "data.fold=1/2 has no effect"),
    ):
        with pytest.raises(UsageError, match=message):
            sightline.cross_validate(data, out=tmp_path / "s", console=QUIET, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="has no such column"):
        sightline.cross_validate(data, ["data.group=persn"], folds=2, out=tmp_path / "s", console=QUIET)
    assert not (tmp_path / "s").exists()
