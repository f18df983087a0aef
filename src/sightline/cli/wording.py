"""The results of verbs as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.storage.text import printable

# of all tasks, in the order in which they are shown
_SUMMARY = ("accuracy", "mean_iou", "mask_ap50", "ap50", "loss", "macro_f1", "pixel_accuracy", "mask_ap", "ap")
_PER_CLASS = ("support", "found", "precision", "recall", "f1", "iou", "dice", "mask_ap", "mask_ap50", "ap", "ap50")
_NAMED = 3  # metrics in the summary of a run


def summary_text(found: Mapping[str, Any]) -> str:
    split = "test" if found["test"] else "val"
    metrics = found[split] or {}
    names = [name for name in _SUMMARY if name in metrics] or list(metrics)
    lines = [f"{name.replace('_', ' ')} {_figure(metrics[name])}" for name in names][:_NAMED]
    rate = f", {found['images_per_second']:,.0f} images/s" if found["images_per_second"] else ""
    result = f"{split} {', '.join(lines)}" if metrics else "not evaluated: there are no val or test images"
    return f"{printable(found['run'])}: {result} ({found['steps']:,} steps, {found['seconds']:.0f} s{rate})"


def evaluation_text(found: Mapping[str, Any]) -> str:
    rows = [("metric", "value", "95 % interval")]
    for name, value in found["metrics"].items():
        interval = found["intervals"].get(name)
        rows.append((name, _figure(value), f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""))
    first: Mapping[str, Any] = next(iter(found["per_class"].values()), {})
    columns = [name for name in _PER_CLASS if name in first]
    classes: list[tuple[str, ...]] = [("class", *columns)]
    classes += [(printable(name), *(_figure(row[k]) for k in columns)) for name, row in found["per_class"].items()]
    return f"{printable(found['run'])}, {found['split']}, n = {found['n']:,}\n{_table(rows)}\n\n{_table(classes)}"


def predictions_text(rows: Sequence[Sequence[str]]) -> str:
    return _table([rows[0], *(tuple(map(printable, row)) for row in rows[1:])])


def models_text(found: Mapping[str, Any]) -> str:
    rows = [("name", "family", "parameters", "input")]
    rows += [(m["name"], m["family"], f"{m['parameters']:,}", "x".join(map(str, m["input"]))) for m in found["models"]]
    return _table(rows)


def describe_text(found: Mapping[str, Any]) -> str:
    columns = ("layer", "kind", "output", "parameters", "multiply-adds", "receptive field")
    rows: list[tuple[str, ...]] = [columns]
    rows += [(label, *_layer_cells(row)) for label, row in _module_tree(found["layers"], found["modules"])]
    attention = found["attention_multiply_adds"]
    more = f" and {attention:,} of attention" if attention else ""
    if other := found["other_multiply_adds"]:
        more += f" and {other:,} outside its layers"
    totals = f"{found['parameters']:,} parameters, {found['multiply_adds']:,} multiply-adds{more}"
    note = "\nA row that ends in / is the total of the rows indented below it." if len(found["modules"]) > 1 else ""
    return f"{_table(rows)}\n{note}\n{found['name']}: {totals}"


def _module_tree(
    layers: Sequence[Mapping[str, Any]], modules: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Mapping[str, Any]]]:
    """Layers in order, indented; each module precedes its first layer."""
    waiting = {row["name"]: row for row in modules if row["name"]}
    tree = []
    for row in layers:
        path = row["name"].removesuffix("(own)")
        parts = path.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            if name in waiting:
                tree.append((f"{'  ' * (depth - 1)}{name}/", waiting.pop(name)))
        paper = f" ({row['paper']})" if "paper" in row else ""
        own = path and path != row["name"]  # a module's own parameters are shown one level inside it
        tree.append((f"{'  ' * (len(parts) - (not own))}{row['name']}{paper}", row))
    return tree


def _layer_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a layer or module after its name."""
    output = "x".join(map(str, row["output"])) if row["output"] else ""
    field = row["receptive_field"]
    pixels = "" if field is None else "x".join(map(str, field)) if isinstance(field, Sequence) else str(field)
    return row["kind"], output, f"{row['parameters']:,}", f"{row['multiply_adds']:,}", pixels


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
    return _table([(printable(str(row[name])), printable(str(row[value]))) for row in rows])


def _figure(value: float | None) -> str:
    if value is None:
        return "undefined"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "nothing has been written yet"
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
