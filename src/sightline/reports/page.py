"""RunContent, facts and verdict → the values that the page's template fills in. No markup here but that of drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from sightline.drawing.png import data_uri, png_size
from sightline.drawing.svg import seen
from sightline.reports.content import DataFacts, ModelFacts, RunContent
from sightline.reports.finding import VerdictFacts
from sightline.reports.reading import mapping, words
from sightline.reports.rules.learning import headline_interval, split_word
from sightline.reports.thresholds import Thresholds
from sightline.reports.verdict import Verdict
from sightline.reports.wording import NOTHING, counted, duration, quantity, quoted

from .chapter import Chapter, Pictures, Scene
from .parts.dense_tables import amounts
from .parts.figures import headline_chart, learning_curves, split_chart
from .parts.tables import metrics_table
from .samples import BatchSheet

TAGS = {"serious": "Fix first", "warning": "Improve", "good": "Good", "note": "Note"}
KINDS = {"run": "the run"}  # a finding's kind in words, where its name is not one
MOST_PROBLEMS = 200
Pair = tuple[str, object]


def page_values(
    content: RunContent, chapter: Chapter, facts: VerdictFacts, verdict: Verdict, *, picture: Pictures
) -> dict[str, Any]:
    """Everything that `page.html` names; None or empty is a section that is left out."""
    limits = chapter.limits
    sections = chapter.sections(Scene(content, facts, limits, picture))
    values: dict[str, Any] = {
        "content": content,
        "verdict": verdict,
        "tags": TAGS,
        "kinds": KINDS,
        "split": split_word(facts.split),
        "chips": chips(content),
        "key": _key(facts, limits),
        "problems": [*_absent(content, chapter), *dict.fromkeys(content.problems)],
        "metrics": metrics_table(content, chapter, facts),
        "splits": split_chart(facts, limits),
        "curves": learning_curves(content, facts.headline),
        "sections": sections,
        "batch": _batch(content.batch, chapter.batch_note),
        "batch_legend": chapter.batch_legend(content),
        "data": data_values(content.data),
        "model": {"facts": model_facts(content.model), "layers": content.model.layers} if content.model else None,
        "again": again(content, facts),
        "environment": environment(content),
        "packages": sorted(_pairs(content.environment.get("packages"))),
        "recipe": preformatted(content.recipe_text),
        "rules": chapter.lines(limits, facts.headline),
    }
    before = [("figures", "Measured", "metrics"), ("learning", "Learning", "curves")]
    after = [("batch", "A batch", "batch"), ("data", "Data", "data"), ("model", "Model", "model")]
    own = [(section.place, section.title) for section in sections]
    values["contents"] = [
        *((place, title) for place, title, key in before if values[key]),
        *own,
        *((place, title) for place, title, key in after if values[key]),
        ("again", "Run it again"),
    ]
    return values


def chips(content: RunContent) -> list[dict[str, str]]:
    """The run in a line: state, data, model, time."""
    run, data, model = content.run, content.data, content.model
    tone = {"finished": "good", "diverged": "serious"}.get(run.status, "warning")
    state = "finished, stopped early" if (run.status, run.reason) == ("finished", "early") else run.status
    found = [{"text": state, "tone": tone}]
    if run.smoke:
        found.append({"text": "rehearsal (smoke)", "tone": "warning"})
    texts = []
    if data is not None:
        texts.append(f"{counted(data.used, 'image')}, {counted(len(data.classes), 'class', 'classes')}")
    if model is not None:
        texts.append(f"{model.name}, {quantity(model.parameters)} parameters")
    if run.step:
        texts.append(counted(run.step, "step") + (f" in {duration(run.seconds)}" if run.seconds else ""))
    if run.images_per_second:
        texts.append(f"{quantity(round(run.images_per_second))} images/s")
    return found + [{"text": text, "tone": "plain"} for text in texts]


def _key(facts: VerdictFacts, limits: Thresholds) -> dict[str, Any] | None:
    """The one number, large."""
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    strip = headline_chart(facts, limits)
    if value is None or strip is None:
        return None
    sure = f" · 95 % interval {headline.span(*interval, facts.n)}" if interval is not None else ""
    under = f"{split_word(facts.split)} {headline.name}{sure} · n = {facts.n:,}"
    return {"number": headline.figure(value, facts.n), "under": under, "strip": strip}


def _absent(content: RunContent, chapter: Chapter) -> list[str]:
    """What a finished run would have and this one has not."""
    measured = chapter.headline is not None
    parts = {
        "history.csv: no validation has been made yet, so there are no curves.": not content.history,
        "metrics.json: the kept weights have not been measured.": measured and not content.metrics,
        "predictions: no rows of test or validation, so nothing is told class by class.": measured
        and content.judged is None,
        "data.json: there is no data card.": content.data is None,
        "model/config.json: there is no model table.": content.model is None,
        "samples/batch.png: no batch was kept.": content.batch is None,
        "samples/examples.json: no pictures of answers were kept.": chapter.examples and content.examples is None,
    }
    named = " ".join(content.problems)
    return [sentence for sentence, gone in parts.items() if gone and sentence.split(":")[0] not in named]


def _batch(sheet: BatchSheet | None, note: str) -> dict[str, Any] | None:
    if sheet is None:
        return None
    width, height = png_size(sheet.png)
    rows = [{"name": n, "label": t} for n, t in zip(sheet.names, sheet.labels, strict=True)]
    number = counted(len(rows), "training image") if rows else "Training images"
    intro = f"{number}, after geometry and augmentation and before normalisation{note}."
    return {"picture": data_uri(sheet.png), "width": width, "height": height, "rows": rows, "intro": intro}


def data_values(data: DataFacts | None) -> dict[str, Any] | None:
    """The data card."""
    if data is None:
        return None
    splits = ", ".join(f"{split_word(name)} {n:,}" for name, n in data.splits.items())
    facts: list[Pair] = [
        ("data set", data.name or NOTHING),
        ("kind", data.kind or NOTHING),
        ("images used", f"{data.used:,} of {data.n:,}"),
        ("splits", splits or NOTHING),
        ("classes", f"{len(data.classes):,}"),
        *([(data.unit, amounts(data))] if data.unit else []),
        ("groups of equal pictures", f"{data.duplicates:,}"),
        ("… with different labels", f"{data.conflicts:,}"),
        *([("… in two splits, kept", f"{data.leaks:,}")] if data.leaks else []),
        ("not usable", f"{data.quarantined:,}"),
        ("hash", data.hash[:16] or NOTHING),
    ]
    total = len(data.problems)
    return {
        "facts": facts,
        "notes": data.notes,
        "problems": data.problems[:MOST_PROBLEMS],
        "problems_title": counted(total, "problem"),
        "more": f"{total - MOST_PROBLEMS:,} more are in data.json." if total > MOST_PROBLEMS else "",
        "open": total <= 12,
    }


def model_facts(model: ModelFacts | None) -> list[Pair]:
    """The model in a few lines."""
    if model is None:
        return []
    options = ", ".join(f"{name} = {words(value)}" for name, value in model.options.items())
    return [
        ("network", model.name),
        ("options", options or "defaults"),
        ("parameters", NOTHING if model.parameters is None else f"{model.parameters:,.0f}"),
        ("multiply-adds for one image", quantity(model.multiply_adds)),
    ]


def again(content: RunContent, facts: VerdictFacts) -> dict[str, str]:
    """The command that makes this run again, and what it needs to come out the same."""
    folder = content.run.place.split("/")[0]
    same = "On the same data, torch, processor kind and number of threads it ends in the same bits."
    return {"intro": f"In the folder that holds {quoted(folder)}. {same}", "command": facts.command}


def environment(content: RunContent) -> list[Pair]:
    """Where it ran: every plain value of environment.json, the familiar ones first."""
    order = (
        "device",
        "accelerator",
        "cpu",
        "threads",
        "precision",
        "platform",
        "machine",
        "python",
        "torch",
        "sightline",
    )
    plain = {k: v for k, v in content.environment.items() if not isinstance(v, Mapping | list)}
    plain.setdefault("torch", mapping(content.environment.get("packages")).get("torch"))
    plain.setdefault("precision", mapping(content.recipe.get("fit")).get("precision"))
    names = [n for n in order if n in plain] + [n for n in plain if n not in order]
    return [(name.replace("_", " "), words(plain[name])) for name in names if plain[name] is not None]


def _pairs(value: object) -> Sequence[tuple[str, str]]:
    return [(str(k), words(v)) for k, v in value.items()] if isinstance(value, Mapping) else []


def preformatted(text: str) -> Markup:
    """Text with its line ends, everything hidden in it written out."""
    return Markup("\n").join(escape(seen(line)) for line in text.splitlines())
