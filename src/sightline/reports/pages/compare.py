"""The page of a comparison: the verdict, metrics with intervals, pairs, costs, and in what the runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.drawing.bars import Row, interval_rows
from sightline.reports.parts.figures import Chart

from .page import AnswerPage, Table, render_answer

_SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "mean_iou", "pixel_accuracy", "map", "mask_ap", "mask_ap50", "ap",
          "ap50", "r2", "mae", "loss", "ece")  # fmt: skip
_PARTS = {
    "recipe": "recipe", "data": "data", "machine": "machine (of the training)", "code": "versions (of the training)",
}  # fmt: skip


def verdict_of(facts: Mapping[str, Any]) -> str:
    """One sentence: whether any run is better than another by more than chance."""
    pairs, score, n, unit = facts["pairs"], facts["score"], facts["n"], _unit(facts)
    differ = [pair for pair in pairs if pair["different"]]
    if not differ:
        largest = max(pairs, key=lambda pair: abs(pair["gain"]))
        which = f"{largest['first']} and {largest['second']}" if len(pairs) == 1 else f"the {len(facts['runs'])} runs"
        return f"No significant difference between {which}: {_gap(largest, unit)} in {score} on {n:,} images."
    if len(pairs) == 1:
        pair = differ[0]
        better, worse = (pair["first"], pair["second"]) if pair["gain"] > 0 else (pair["second"], pair["first"])
        gap, p = _gap(pair, unit), p_text(pair["adjusted_p"])
        return f"{better} is better than {worse}: {gap} in {score} on {n:,} images, p {p}."
    wins = {run["name"]: 0 for run in facts["runs"]}
    losses = dict(wins)
    for pair in differ:
        better, worse = (pair["first"], pair["second"]) if pair["gain"] > 0 else (pair["second"], pair["first"])
        wins[better] += 1
        losses[worse] += 1
    best = max(wins, key=lambda name: (wins[name] - losses[name], wins[name]))
    ties = [name for name in wins if name != best and not _beats(differ, best, name)]
    beaten = len(wins) - 1 - len(ties)
    tied = f"; the difference from {', '.join(ties)} is not significant" if ties else ""
    return f"{best} is better than {beaten} of the other {len(wins) - 1} in {score} on {n:,} images{tied}."


def _beats(differ: Sequence[Mapping[str, Any]], best: str, name: str) -> bool:
    return any(
        (pair["gain"] > 0 and (pair["first"], pair["second"]) == (best, name))
        or (pair["gain"] < 0 and (pair["second"], pair["first"]) == (best, name))
        for pair in differ
    )


def notes_of(facts: Mapping[str, Any]) -> list[str]:
    """What the verdict does not say."""
    notes = []
    if facts["only_the_seed"]:
        notes.append("The runs differ only in their seed: any difference between them is chance.")
    else:
        notes.append(
            "This compares trained networks, not recipes, whose results vary with the seed: to compare recipes, train each "
            "with several seeds."
        )
    if facts["split"] == "val":
        notes.append(
            "The weights were selected on the validation images, so all figures on them are slightly optimistic."
        )
    return notes


def p_text(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"= {p:.2g}"


def _gap(pair: Mapping[str, Any], unit: float) -> str:
    interval = pair["interval"]
    span = ""
    if interval is not None:
        low, high = sorted(end * (1 if pair["gain"] >= 0 else -1) for end in interval)
        span = f" ({_points(low, unit)} to {_points(high, unit)})"
    return f"{_points(abs(pair['gain']), unit).lstrip('+')}{' points' if unit == 100 else ''}{span}"


def compare_page(facts: Mapping[str, Any]) -> str:
    """The page as HTML text."""
    runs, charts = facts["runs"], []
    shown = [*runs] + ([{**facts["ensemble"], "name": "ensemble"}] if facts["ensemble"] else [])
    rows = [
        _row(one, value)
        for one in shown
        if (value := one["metrics"].get(facts["metric"])) is not None and -1 <= value <= 1
    ]
    if len(rows) == len(shown):
        title = f"{_words(facts['metric'])} with 95 % intervals"
        about = "; ".join(f"{row.name} {row.note}" for row in rows)
        caption = f"{title}. Overlap does not mean “no difference”: the images are the same, so pairs are compared."
        charts.append(Chart(interval_rows(rows, title=title, description=f"{about}."), caption))
    differ = sum(pair["different"] for pair in facts["pairs"])
    return render_answer(
        AnswerPage(
            title="Comparison",
            name=" · ".join(run["name"] for run in runs[:4]) + (" …" if len(runs) > 4 else ""),
            chips=(facts["task"], f"{facts['data']}, {facts['split']}", f"{facts['n']:,} images"),
            verdict=facts["verdict"],
            sentences=notes_of(facts),
            number=f"{differ} of {len(facts['pairs'])}",
            under="pairs differ by more than chance",
            charts=charts,
            tables=[_pairs(facts), _metrics(facts, shown), *_together(facts), _costs(runs), *_differences(facts)],
            command="sightline compare "
            + " ".join(run["run"] for run in runs)
            + (" --ensemble" if facts["ensemble"] else ""),
            facts=(("score", facts["score"]), ("test", facts["pairs"][0]["test"]), ("adjustment", "Holm")),
        )
    )


def _row(one: Mapping[str, Any], value: float) -> Row:
    low, high = one["interval"] or (value, value)
    return Row(one["name"], value, low, high, f"{100 * value:.2f} %")


def _pairs(facts: Mapping[str, Any]) -> Table:
    rows = [
        (
            f"{pair['first']} − {pair['second']}", *_gain(pair, facts), f"{pair['only_first']:,}", f"{pair['only_second']:,}",
            p_text(pair["adjusted_p"]), "yes" if pair["different"] else "no",
        )
        for pair in facts["pairs"]
    ]  # fmt: skip
    heads = [("pair", ""), *_gain_heads(facts), ("first better on", "num"), ("second better on", "num")]
    heads += [("adjusted p", "num"), ("different", "")]
    note = (
        f"Gain in {facts['score']} over the same images; “better on” counts images. p by {facts['pairs'][0]['test']}, adjusted "
        "for the number of pairs by Holm's method; intervals are paired bootstrap, unadjusted."
    )
    return Table("Pairs", heads, rows, note=note)


def _gain_heads(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("gain, points" if facts["share"] else "gain", "num"), ("95 % interval", "num")]


def _gain(pair: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[str, str]:
    return _points(pair["gain"], _unit(facts)), _span(pair["interval"], _unit(facts))


def _metrics(facts: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> Table:
    names = [name for name in _SHOWN if any(one["metrics"].get(name) is not None for one in shown)]
    names = names or list(shown[0]["metrics"])[:8]
    rows = [[one["name"], *(_figure(one["metrics"].get(name)) for name in names)] for one in shown]
    return Table("Metrics", [("run", ""), *((_words(name), "num") for name in names)], rows)


def _together(facts: Mapping[str, Any]) -> list[Table]:
    found = facts["ensemble"]
    if not found:
        return []
    best = facts["runs"][found["best"]]["name"]
    rows = [
        (
            f"over {best}, the best of them",
            _points(found["over_best"]["gain"], _unit(facts)),
            _span(found["over_best"]["interval"], _unit(facts)),
        ),
        (
            "over the mean of all",
            _points(found["over_mean"]["gain"], _unit(facts)),
            _span(found["over_mean"]["interval"], _unit(facts)),
        ),
    ]
    correlation = found["error_correlation"]
    note = (
        ""
        if correlation is None
        else f"Correlation of the members' mistakes: {correlation:.2f}; the lower, the more they gain."
    )
    heads = [("gain of the ensemble", ""), *_gain_heads(facts)]
    return [Table("Together", heads, rows, intro="The mean of all runs, judged like a run.", note=note)]


def _costs(runs: Sequence[Mapping[str, Any]]) -> Table:
    heads = (("run", ""), ("network", ""), ("parameters", "num"), ("multiply-adds", "num"), ("ms an image, batch 1", "num"),
             ("batch 16", "num"), ("images a second", "num"), ("memory, MB", "num"))  # fmt: skip
    rows = []
    for run in runs:
        cost = run["cost"]
        memory = cost["memory_mb"]
        rows.append(
            (
                run["name"], run["model"], f"{cost['parameters']:,}", f"{cost['multiply_adds']:,}", f"{cost['ms_batch_1']:.3g}",
                f"{cost['ms_batch_16']:.3g}", f"{cost['images_per_second']:,.0f}", "" if memory is None else f"{memory:,.4g}",
            )
        )  # fmt: skip
    cost = runs[0]["cost"]
    threads = f", {cost['threads']} thread{'' if cost['threads'] == 1 else 's'}" if cost["device"] == "cpu" else ""
    note = (
        f"Measured now on this machine ({cost['device']}{threads}), without the decoding of files: the median of calls. "
        "Memory: weights and what predicting 16 images takes beside them."
    )
    return Table("Cost", heads, rows, note=note)


def _differences(facts: Mapping[str, Any]) -> list[Table]:
    heads = [("", ""), *((run["name"], "") for run in facts["runs"])]
    tables = []
    for part, title in _PARTS.items():
        unlike = facts["differences"][part]
        if unlike:
            rows = [
                [key, *("–" if value is None else str(value) for value in values)] for key, values in unlike.items()
            ]
            tables.append(Table(f"Different {title}", heads, rows))
    same = [title for part, title in _PARTS.items() if not facts["differences"][part]]
    if same and tables:
        tables[-1] = Table(tables[-1].title, heads, tables[-1].rows, note=f"The same: {', '.join(same)}.")
    return tables


def _unit(facts: Mapping[str, Any]) -> float:
    """Gains of shares are shown in points, others as they are."""
    return 100.0 if facts["share"] else 1.0


def _points(gain: float, unit: float) -> str:
    return f"{unit * gain:+.{2 if unit == 100 else 4}f}"


def _span(interval: Sequence[float] | None, unit: float) -> str:
    return "–" if interval is None else f"{_points(interval[0], unit)} to {_points(interval[1], unit)}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _words(metric: str) -> str:
    return metric.replace("_", " ")
