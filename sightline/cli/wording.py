"""Answers as lines of text for a person at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.storage.text import shown


def summary_text(found: Mapping[str, Any]) -> str:
    split = "test" if found["test"] else "val"
    metrics = found[split] or {}
    lines = [
        f"{name.replace('_', ' ')} {_figure(metrics.get(name))}"
        for name in ("accuracy", "loss", "macro_f1")
        if name in metrics
    ]
    rate = f", {found['images_per_second']:,.0f} images/s" if found["images_per_second"] else ""
    return (
        f"{shown(found['run'])}: {split} {', '.join(lines)} ({found['steps']:,} steps, {found['seconds']:.0f} s{rate})"
    )


def evaluation_text(found: Mapping[str, Any]) -> str:
    rows = [("metric", "value", "95 % interval")]
    for name, value in found["metrics"].items():
        interval = found["intervals"].get(name)
        rows.append((name, _figure(value), f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""))
    classes: list[tuple[str, ...]] = [("class", "support", "precision", "recall", "f1")]
    classes += [
        (shown(name), str(row["support"]), *(_figure(row[k]) for k in ("precision", "recall", "f1")))
        for name, row in found["per_class"].items()
    ]
    return f"{shown(found['run'])}, {found['split']}, n = {found['n']:,}\n{_table(rows)}\n\n{_table(classes)}"


def predictions_text(found: Mapping[str, Any]) -> str:
    rows = [("path", "label", "probability")]
    for row in found["predictions"]:
        given = (row["error"], "") if "error" in row else (row["label"], f"{row['probability']:.4f}")
        rows.append((shown(row["path"]), shown(given[0]), given[1]))
    return _table(rows)


def models_text(found: Mapping[str, Any]) -> str:
    rows = [("name", "family", "parameters", "input")]
    rows += [(m["name"], m["family"], f"{m['parameters']:,}", "x".join(map(str, m["input"]))) for m in found["models"]]
    return _table(rows)


def describe_text(found: Mapping[str, Any]) -> str:
    rows = [("layer", "kind", "output", "parameters", "multiply-adds", "receptive field")]
    for layer in found["layers"]:
        output = "x".join(map(str, layer["output"])) if layer["output"] else ""
        field = layer["receptive_field"]
        seen = "" if field is None else "x".join(map(str, field)) if isinstance(field, Sequence) else str(field)
        rows.append(
            (layer["name"], layer["kind"], output, f"{layer['parameters']:,}", f"{layer['multiply_adds']:,}", seen)
        )
    attention = found["attention_multiply_adds"]
    more = f" and {attention:,} of attention" if attention else ""
    totals = f"{found['parameters']:,} parameters, {found['multiply_adds']:,} multiply-adds{more}"
    return f"{_table(rows)}\n\n{found['name']}: {totals}"


def data_text(found: Mapping[str, Any]) -> str:
    splits = ", ".join(f"{name} {n:,}" for name, n in found["splits"].items() if n)
    lines = [
        f"{found['kind']}: {found['n']:,} images, {found['used']:,} used, {found['quarantined']:,} quarantined",
        f"{len(found['classes'])} classes; {splits}",
    ]
    if found["problems"]:
        columns = ("file", "reason", "fix", "action")
        rows = [columns, *([str(problem[c]) for c in columns] for problem in found["problems"])]
        lines += ["", _table(rows)]
    return "\n".join(lines)


def checks_text(rows: Sequence[Mapping[str, Any]], name: str, value: str) -> str:
    return _table([(shown(str(row[name])), shown(str(row[value]))) for row in rows])


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
