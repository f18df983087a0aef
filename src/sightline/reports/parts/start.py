"""The chapter about the weights that training began with: which, whose, on what terms, and what was done with them."""

from __future__ import annotations

from typing import Any

from sightline.models.published import published
from sightline.recipes.fine_tuning import FEW, TABLE, Advice
from sightline.reports.content import RunContent
from sightline.reports.reading import as_integer, as_mapping, as_number, as_sequence, as_text
from sightline.reports.wording import plural

Pair = tuple[str, object]
IMAGENET = (
    "ImageNet's images are for non-commercial research. Whether that binds weights learned from them is not settled: "
    "check it before you ship this network."
)


def start_values(content: RunContent) -> dict[str, Any] | None:
    """The chapter; None where training began with random weights. `table` has the advice, with the row that applies marked."""
    model = content.model
    if model is None or not model.start:
        return None
    start = model.start
    name, data = as_text(start.get("source")) or as_text(start.get("name")), trained_on(start)
    on = f", trained on {data}" if data else ""
    return {
        "intro": f"Training did not begin with random weights but with {name}{on}. "
        "All figures above include what these weights brought along; model.weights=none trains without them.",
        "facts": [*_origin(start, name, data), *_treatment(content)],
        "terms": IMAGENET if "imagenet" in data.lower() else "",
        "table": _table(content),
    }


def trained_on(start: Any) -> str:
    """The training data of the weights; "" where they are not known. Records of earlier versions name the source only."""
    known = as_text(start.get("data"))
    url = as_text(start.get("url"))
    if known or not url:
        return known
    return next((w.data for files in published().values() for w in files.values() if w.url == url), "")


def _origin(start: Any, name: str, data: str) -> list[Pair]:
    return [
        ("weights", name),
        ("from", as_text(start.get("url")) or "a file of the user"),
        ("trained on", data or "not known"),
        ("licence, as published", as_text(start.get("licence")) or "not known"),
        ("SHA-256", as_text(start.get("sha256"))),
        ("tensors loaded", f"{as_integer(start.get('loaded')):,}"),
    ]


def _treatment(content: RunContent) -> list[Pair]:
    """What training did with them, by the keys that decide it."""
    assert content.model is not None
    start, tuning = content.model.start, content.model.tuning
    model, optim = as_mapping(content.recipe.get("model")), as_mapping(content.recipe.get("optim"))
    new = [as_text(n) for key in ("head", "missing") for n in as_sequence(start.get(key))]
    more = f" and {len(new) - 3} more" if len(new) > 3 else ""
    amount = f"{as_integer(tuning['new']):,} parameters: " if "new" in tuning else ""
    rule = as_text(model.get("freeze")) or "none"
    frozen = {"none": "nothing", "trunk": "all but the new head"}.get(rule, f"the first {rule} parts")
    if "frozen" in tuning:
        frozen += f", {as_integer(tuning['frozen']):,} of {as_integer(tuning.get('parameters')):,} parameters"
    pairs: list[Pair] = [
        ("new, not from the weights", f"{amount}{', '.join(new[:3])}{more}" if new else "nothing"),
        ("frozen (model.freeze)", frozen),
    ]
    if rule == "trunk":
        return pairs
    rate, first = as_number(optim.get("pretrained_rate")), as_number(model.get("head_first")) or 0.0
    alone = as_integer(tuning.get("steps_alone"))
    steps = f", the first {plural(alone, 'step')}" if alone else ""
    return [
        *pairs,
        ("batch norms (model.freeze_norms)", "frozen" if model.get("freeze_norms") else "learn where their part does"),
        (
            "rate of what came with them (optim.pretrained_rate)",
            "that of new parameters" if rate in (None, 1.0) else f"{rate:g} of that of new parameters",
        ),
        ("new head alone (model.head_first)", f"{100 * first:g} % of the steps{steps}" if first else "no"),
    ]


def _table(content: RunContent) -> dict[str, Any] | None:
    """The decision table for classes; None where the recipe was completed without it (pixels, boxes)."""
    assert content.model is not None
    model, optim = as_mapping(content.recipe.get("model")), as_mapping(content.recipe.get("optim"))
    n = content.data.splits.get("train", 0) if content.data is not None else 0
    if model.get("freeze") is None or not n:
        return None
    few, grey = n < FEW, content.model.tuning.get("grey")
    cell = (few, grey) if isinstance(grey, bool) else None
    rows = [
        {
            "images": f"{'fewer than' if key[0] else 'at least'} {FEW:,}, {'grey' if key[1] else 'in colour'}",
            "what": advice.what,
            "why": advice.why,
            "here": key == cell,
        }
        for key, advice in TABLE.items()
    ]
    if cell is None:
        return {"rows": rows, "note": f"This run has {plural(n, 'training image')}."}
    followed = _follows(TABLE[cell], model.get("freeze"), as_number(optim.get("pretrained_rate")))
    kind = "grey" if grey else "in colour"
    verdict = "was followed" if followed else "was overruled by keys of the recipe"
    return {"rows": rows, "note": f"This run has {plural(n, 'training image')}, {kind}: the marked row {verdict}."}


def _follows(advice: Advice, freeze: object, rate: float | None) -> bool:
    frozen = isinstance(freeze, int) if advice.freeze == "half" else freeze == advice.freeze
    return frozen and rate == advice.rate
