"""compare: runs on the same images. Which is better by more than chance, in what they differ, what they cost, and together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from sightline.errors import UsageError
from sightline.evaluation.comparing.ensembles import error_correlation, mean_rows
from sightline.evaluation.comparing.paired import Difference, difference, holm
from sightline.kinds.kind import Kind, Scoring
from sightline.kinds.pretrained import open_run_or_model
from sightline.reports.pages.compare import compare_page, verdict_of
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.runs.study import is_study, open_study
from sightline.storage.files import replace_file

from .cost import size_of, speed_of
from .differences import differences, only_seed
from .ensemble import ensemble_task, require_mean
from .same_images import SameImages, computed, measured_kind, stored

MOST = 20  # runs
TOGETHER = "ensemble"


@dataclass(frozen=True)
class Comparison:
    """`facts` are the JSON; `judgements` those of the runs, and of their ensemble last where it was asked for; `page` the HTML
    file, None if none was written."""

    facts: dict[str, Any]
    judgements: tuple[Any, ...]
    page: Path | None

    def to_json(self) -> dict[str, Any]:
        return {**self.facts, "page": None if self.page is None else str(self.page)}


def compare(
    runs: Sequence[Run | str | Path],
    data: Any = None,
    *,
    split: str | None = None,
    ensemble: bool = False,
    out: str | Path | None = None,
    device: str = "auto",
    allow_network: bool = False,
    console: Console | None = None,
) -> Comparison:
    """Compare two or more runs of one task (a study with `--seeds` counts as its runs) on the same images: on their
    stored predictions (of test, else val), or on `data` of any form that `evaluate` takes, which each then predicts.

    Every pair gets its gain with a 95 % interval and a p, adjusted for the number of pairs (see `evaluation.comparing.paired`).
    Beside it stand the differences of recipe, data, machine and code, and the cost of each run. `ensemble` judges the mean of
    all runs like a run. `out` is an .html file for the page.

    DataError where the images, their labels or the classes differ; UsageError for runs of different tasks.
    """
    console = console or Console()
    opened = _opened(runs, out)
    kind, scoring = measured_kind(opened)
    if ensemble:
        require_mean(kind)
    names = _names(opened)
    same = (
        stored(opened, scoring, split, console)
        if data is None
        else computed(opened, kind, scoring, data, split, device, console, allow_network=allow_network)
    )
    rows, labels, together = list(same.rows), list(names), None
    if ensemble:
        rows.append(_ensemble_rows(opened, kind, scoring, same, data, split, device, console))
        labels.append(TOGETHER)
    classes = opened[0].classes
    with console.working("measuring"):
        judgements = tuple(scoring.rows.judge(one, classes) for one in rows)
        scores, score, share = _scores(scoring, rows, judgements)
        pairs = _pairs(scores[: len(opened)], share)
    if ensemble:
        together = _gain(scores, share)
    console.say("measuring the speed of each")
    unlike = differences(opened)
    facts: dict[str, Any] = {
        "data": same.data, "split": same.split, "n": int(np.isfinite(np.stack(scores)).all(0).sum()), "task": kind.name,
        "metric": scoring.headline, "score": score, "share": bool(all((one[np.isfinite(one)] >= 0).all() for one in scores)),
        "runs": [
            {"run": str(run.folder), "name": name, "model": run.recipe.model.name, "metrics": judgement.metrics,
             "interval": judgement.intervals.get(scoring.headline), "cost": size_of(run, kind) | speed_of(run, device)}
            for run, name, judgement in zip(opened, names, judgements, strict=False)
        ],
        "pairs": [{"first": names[i], "second": names[j], **_pair_json(pair)} for (i, j), pair in pairs],
        "differences": unlike, "only_the_seed": only_seed(unlike),
        "ensemble": None if together is None else {"metrics": judgements[-1].metrics,
            "interval": judgements[-1].intervals.get(scoring.headline), **together},
    }  # fmt: skip
    facts["verdict"] = verdict_of(facts)
    page = None
    if out is not None:
        page = Path(out)
        replace_file(page, compare_page(facts).encode())
        console.say(f"page: {page}")
    return Comparison(facts, judgements, page)


def _opened(runs: Sequence[Run | str | Path], out: str | Path | None) -> list[Run]:
    if not isinstance(runs, str | Path):
        runs = [run for one in runs for run in _members(one)]
    if isinstance(runs, str | Path) or not 2 <= len(runs) <= MOST:
        raise UsageError("a comparison needs 2 to 20 runs", "name them: sightline compare runs/a runs/b")
    if out is not None and Path(out).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out} is not an .html file", "name one, such as compare.html")
    opened = [run if isinstance(run, Run) else open_run_or_model(run, None) for run in runs]
    if len({run.folder.resolve() for run in opened}) < len(opened):
        raise UsageError("a run is named twice", "name different runs")
    return opened


def _members(one: Run | str | Path) -> Sequence[Run | str | Path]:
    """The runs of a study with several seeds; anything else as it is. UsageError for other studies."""
    if isinstance(one, Run) or not is_study(one):
        return [one]
    study = open_study(one)
    if study.kind == "folds":
        raise UsageError(
            f"{one} is a study on folds, whose runs were tested on different images",
            "see sightline evaluate, or use --seeds",
        )
    if study.kind != "seeds":
        raise UsageError(f"{one} is a search, which compares its best runs itself", "name runs of it")
    return study.runs()


def _names(runs: Sequence[Run]) -> list[str]:
    """The name of each folder; the whole path where two have the same."""
    short = [run.folder.name for run in runs]
    return [name if short.count(name) == 1 else str(run.folder) for name, run in zip(short, runs, strict=True)]


def _scores(scoring: Scoring, rows: Sequence[Any], judgements: Sequence[Any]) -> tuple[list[np.ndarray], str, bool]:
    """The score of each image by each run, what it is, and whether it is right or wrong."""
    assert scoring.per_image is not None
    found = [scoring.per_image(one, judgement) for one, judgement in zip(rows, judgements, strict=True)]
    return [one.value for one in found], found[0].name, found[0].share


def _pairs(scores: Sequence[np.ndarray], share: bool) -> list[tuple[tuple[int, int], Difference]]:
    """Every pair with its difference, p adjusted for all of them."""
    places = list(combinations(range(len(scores)), 2))
    found = [difference(scores[i], scores[j], share=share) for i, j in places]
    adjusted = holm([one.p for one in found])
    return [(place, replace(one, adjusted=p)) for place, one, p in zip(places, found, adjusted, strict=True)]


def _pair_json(pair: Difference) -> dict[str, Any]:
    return {
        "n": pair.n, "first_score": pair.first, "second_score": pair.second, "gain": pair.gain, "interval": pair.interval,
        "only_first": pair.only_first, "only_second": pair.only_second, "test": pair.test, "p": pair.p,
        "adjusted_p": pair.adjusted, "different": pair.different,
    }  # fmt: skip


def _ensemble_rows(
    runs: Sequence[Run],
    kind: Kind,
    scoring: Scoring,
    same: SameImages,
    data: Any,
    split: str | None,
    device: str,
    console: Console,
) -> Any:
    """The rows of the mean: of the stored answers where rows hold them, else predicted again by all at once."""
    if (mean := mean_rows(same.rows)) is not None:
        return mean
    task = ensemble_task(runs)
    chosen = split or (same.split if same.split in ("train", "val", "test") else None)
    return computed(runs[:1], kind, scoring, data, chosen, device, console, tasks=[task]).rows[0]


def _gain(scores: Sequence[np.ndarray], share: bool) -> dict[str, Any]:
    """What the ensemble gains over its best member and over their mean, and how far their mistakes agree."""
    members, whole = scores[:-1], scores[-1]
    best = int(np.argmax([np.nanmean(one) for one in members]))
    return {
        "best": best,
        "over_best": _pair_json(difference(whole, members[best], share=share)),
        "over_mean": _pair_json(difference(whole, np.mean(members, axis=0), share=False)),
        "error_correlation": error_correlation(members),
    }
