"""RunContent, facts and verdict → the values for the page's template. The only markup here is that of drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from sightline.drawing.svg import seen
from sightline.reports.content import DataFacts, ModelFacts, RunContent
from sightline.reports.finding import VerdictFacts
from sightline.reports.reading import as_mapping, as_text
from sightline.reports.rules.learning import headline_interval, split_word
from sightline.reports.thresholds import Thresholds
from sightline.reports.verdict import Verdict
from sightline.reports.wording import NOTHING, duration, plural, quantity, quote

from .attacks.section import attack_section
from .chapter import Chapter, ImageLookup, Scene
from .diagnosis.layers import health_section
from .diagnosis.section import diagnosis_section
from .parts.dense_tables import amounts
from .parts.figures import headline_chart, learning_curves, split_chart
from .parts.picture import KILOBYTE, page_picture
from .parts.start import start_values
from .parts.suspects import SHOWN, suspects
from .parts.tables import metrics_table
from .samples import BatchSheet

TAGS = {"serious": "Fix first", "warning": "Improve", "good": "Good", "note": "Note"}
KINDS = {"run": "the run"}  # how a finding's kind is written, if not by its name
MOST_PROBLEMS = 200
WIDEST, LIMIT = 2560, 800 * KILOBYTE  # pixels and bytes of the picture of the training batch
Pair = tuple[str, object]


def page_values(
    content: RunContent, chapter: Chapter, facts: VerdictFacts, verdict: Verdict, *, load_image: ImageLookup
) -> dict[str, Any]:
    """Everything that `page.html` names; a section that is None or empty is left out."""
    limits = chapter.limits
    under_attack = attack_section(content.attacks)
    own_sections = chapter.sections(Scene(content, facts, limits, load_image))
    slices = diagnosis_section(content.diagnosis, content.evaluation, load_image, content.maps)
    sections = [*filter(None, [slices, under_attack]), *own_sections, *filter(None, [health_section(content.health)])]
    values: dict[str, Any] = {
        "content": content,
        "verdict": verdict,
        "tags": TAGS,
        "kinds": KINDS,
        "suspects": suspects(content, limits),
        "suspects_shown": SHOWN,
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
        "start": start_values(content),
        "rerun": rerun(content, facts),
        "environment": environment(content),
        "packages": sorted(_pairs(content.environment.get("packages"))),
        "recipe": preformatted(content.recipe_text),
        "thresholds": chapter.threshold_rows(limits, facts.headline),
    }
    before = [("figures", "Metrics", "metrics"), ("learning", "Learning curves", "curves")]
    after = [("batch", "Training batch", "batch"), ("data", "Data", "data"), ("model", "Model", "model")]
    after.append(("start", "Starting weights", "start"))
    own = [(section.anchor, section.title) for section in sections]
    values["contents"] = [
        *((anchor, title) for anchor, title, key in before if values[key]),
        *own,
        *((anchor, title) for anchor, title, key in after if values[key]),
        ("rerun", "Run it again"),
    ]
    return values


def chips(content: RunContent) -> list[dict[str, str]]:
    """The run in one line: state, data, model, time."""
    run, data, model = content.run, content.data, content.model
    tone = {"finished": "good", "diverged": "serious"}.get(run.status, "warning")
    state = "finished, stopped early" if (run.status, run.reason) == ("finished", "early") else run.status
    chip_list = [{"text": state, "tone": tone}]
    if run.smoke:
        chip_list.append({"text": "rehearsal (smoke)", "tone": "warning"})
    texts = []
    if data is not None:
        texts.append(f"{plural(data.used, 'image')}, {plural(len(data.classes), 'class', 'classes')}")
    if model is not None:
        texts.append(f"{model.name}, {quantity(model.parameters)} parameters")
        if model.start:
            texts.append(f"fine-tuned from {as_text(model.start.get('source')) or as_text(model.start.get('name'))}")
    if run.step:
        texts.append(plural(run.step, "step") + (f" in {duration(run.seconds)}" if run.seconds else ""))
    if run.images_per_second:
        texts.append(f"{quantity(round(run.images_per_second))} images/s")
    return chip_list + [{"text": text, "tone": "plain"} for text in texts]


def _key(facts: VerdictFacts, limits: Thresholds) -> dict[str, Any] | None:
    """The headline in large type."""
    value, interval, headline = facts.value, headline_interval(facts, limits), facts.headline
    strip = headline_chart(facts, limits)
    if value is None or strip is None:
        return None
    span = f" · 95 % interval {headline.span(*interval, facts.n)}" if interval is not None else ""
    under = f"{split_word(facts.split)} {headline.name}{span} · n = {facts.n:,}"
    return {"number": headline.figure(value, facts.n), "under": under, "strip": strip}


def _absent(content: RunContent, chapter: Chapter) -> list[str]:
    """What a finished run has and this one lacks."""
    scored = chapter.headline is not None
    parts = {
        "history.csv: there has been no validation yet, so there are no curves.": not content.history,
        "metrics.json: the selected weights have not been evaluated.": scored and not content.metrics,
        "predictions: there are none for test or validation, so there are no results by class.": scored
        and content.evaluation is None,
        "data.json: there is no table about the data.": content.data is None,
        "model/config.json: there is no table about the model.": content.model is None,
        "samples/batch.png: no training batch was saved.": content.batch is None,
        "samples/examples.json: no images with predictions were saved.": chapter.examples and content.examples is None,
    }
    known = " ".join(content.problems)
    return [sentence for sentence, gone in parts.items() if gone and sentence.split(":")[0] not in known]


def _batch(sheet: BatchSheet | None, note: str) -> dict[str, Any] | None:
    if sheet is None:
        return None
    picture = page_picture(sheet.png, most=WIDEST, limit=LIMIT)
    rows = [{"name": n, "label": t} for n, t in zip(sheet.names, sheet.labels, strict=True)]
    number = plural(len(rows), "training image") if rows else "Training images"
    intro = f"{number}, after geometry and augmentation and before normalisation{note}."
    return {"picture": picture, "rows": rows, "intro": intro}


def data_values(data: DataFacts | None) -> dict[str, Any] | None:
    """The table about the data."""
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
        ("groups of identical images", f"{data.duplicates:,}"),
        ("… with different labels", f"{data.conflicts:,}"),
        *([("… in two splits, kept", f"{data.leaks:,}")] if data.leaks else []),
        ("unusable files", f"{data.quarantined:,}"),
        ("hash", data.hash[:16] or NOTHING),
    ]
    total = len(data.problems)
    return {
        "facts": facts,
        "notes": data.notes,
        "problems": data.problems[:MOST_PROBLEMS],
        "problems_title": plural(total, "problem"),
        "more": f"{total - MOST_PROBLEMS:,} more are in data.json." if total > MOST_PROBLEMS else "",
        "open": total <= 12,
    }


def model_facts(model: ModelFacts | None) -> list[Pair]:
    """The model in a few lines."""
    if model is None:
        return []
    options = ", ".join(f"{name} = {as_text(value)}" for name, value in model.options.items())
    return [
        ("network", model.name),
        ("options", options or "defaults"),
        ("parameters", NOTHING if model.parameters is None else f"{model.parameters:,.0f}"),
        ("multiply-adds for one image", quantity(model.multiply_adds)),
        *([] if model.zeros is None else [("weights that are zero", f"{100 * model.zeros:.1f} %")]),
    ]


def rerun(content: RunContent, facts: VerdictFacts) -> dict[str, str]:
    """The command that repeats this run, and what it takes to reproduce it exactly."""
    folder = content.run.place.split("/")[0]
    same = "With the same data, PyTorch version, processor type and number of threads, the result is identical bit for bit."
    return {"intro": f"Run this in the folder that contains {quote(folder)}. {same}", "command": facts.command}


def environment(content: RunContent) -> list[Pair]:
    """Where it ran: every number and string of environment.json, the important ones first."""
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
    plain.setdefault("torch", as_mapping(content.environment.get("packages")).get("torch"))
    plain.setdefault("precision", as_mapping(content.recipe.get("fit")).get("precision"))
    names = [n for n in order if n in plain] + [n for n in plain if n not in order]
    return [(name.replace("_", " "), as_text(plain[name])) for name in names if plain[name] is not None]


def _pairs(value: object) -> Sequence[tuple[str, str]]:
    return [(str(k), as_text(v)) for k, v in value.items()] if isinstance(value, Mapping) else []


def preformatted(text: str) -> Markup:
    """Text with its line breaks; hidden characters become visible."""
    return Markup("\n").join(escape(seen(line)) for line in text.splitlines())
