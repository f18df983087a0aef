"""The results of verbs as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.storage.text import printable

# of all tasks, in the order in which they are shown
_SUMMARY = ("accuracy", "mean_iou", "mask_ap50", "ap50", "loss", "macro_f1", "pixel_accuracy", "mask_ap", "ap")
_PER_CLASS = ("support", "found", "precision", "recall", "f1", "iou", "dice", "mask_ap", "mask_ap50", "ap", "ap50")
_NAMED = 3  # metrics in the summary of a run


def summary_text(result: Mapping[str, Any]) -> str:
    split = "test" if result["test"] else "val"
    metrics = result[split] or {}
    names = [name for name in _SUMMARY if name in metrics] or list(metrics)
    lines = [f"{name.replace('_', ' ')} {_figure(metrics[name])}" for name in names][:_NAMED]
    rate = f", {result['images_per_second']:,.0f} images/s" if result["images_per_second"] else ""
    headline = f"{split} {', '.join(lines)}" if metrics else "not evaluated: there are no val or test images"
    steps, seconds = result["steps"], result["seconds"]
    duration = f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{printable(result['run'])}: {headline} ({steps:,} step{'' if steps == 1 else 's'}, {duration}{rate})"


def evaluation_text(result: Mapping[str, Any]) -> str:
    rows = [("metric", "value", "95 % interval")]
    for name, value in result["metrics"].items():
        interval = result["intervals"].get(name)
        rows.append((name, _figure(value), f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""))
    first: Mapping[str, Any] = next(iter(result["per_class"].values()), {})
    columns = [name for name in _PER_CLASS if name in first]
    classes: list[tuple[str, ...]] = [("class", *columns)]
    classes += [(printable(name), *(_figure(row[k]) for k in columns)) for name, row in result["per_class"].items()]
    return f"{printable(result['run'])}, {result['split']}, n = {result['n']:,}\n{_table(rows)}\n\n{_table(classes)}"


def predictions_text(rows: Sequence[Sequence[str]]) -> str:
    return _table([rows[0], *(tuple(map(printable, row)) for row in rows[1:])])


def export_text(result: Mapping[str, Any]) -> str:
    parity, lines = result["parity"], [f"{printable(result['folder'])}: {result['model']} as {result['to']}"]
    agreement = f"equal to the run on {parity['images']} images ({parity['origin']}), batches of 1, 3 and 8"
    lines[0] += f", {result['precision']}; {agreement}"
    for graph in result["graphs"].values():
        latency = ", ".join(
            f"{key.removesuffix('_ms').replace('_', ' ')} {ms:.3g} ms" for key, ms in graph["latency"].items()
        )
        lines.append(f"{graph['file']}  opset {graph['opset']}, exporter {graph['exporter']}; {latency}")
    return "\n".join(lines)


def models_text(result: Mapping[str, Any]) -> str:
    rows = [("name", "family", "parameters", "input")]
    rows += [(m["name"], m["family"], f"{m['parameters']:,}", "x".join(map(str, m["input"]))) for m in result["models"]]
    return _table(rows)


def describe_text(result: Mapping[str, Any]) -> str:
    columns = ("layer", "kind", "output", "parameters", "multiply-adds", "receptive field")
    rows: list[tuple[str, ...]] = [columns]
    layers = [row for row in result["layers"] if row["kind"] != "Identity"]  # places that a variant leaves empty
    rows += [(label, *_layer_cells(row)) for label, row in _module_tree(layers, result["modules"])]
    attention = result["attention_multiply_adds"]
    more = f" and {attention:,} of attention" if attention else ""
    if other := result["other_multiply_adds"]:
        more += f" and {other:,} outside its layers"
    totals = f"{result['parameters']:,} parameters, {result['multiply_adds']:,} multiply-adds{more}"
    note = "\nA row that ends in / is the total of the rows indented below it." if len(result["modules"]) > 1 else ""
    return f"{_table(rows)}\n{note}\n{result['name']}: {totals}"


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


def data_text(result: Mapping[str, Any]) -> str:
    splits = ", ".join(f"{name} {n:,}" for name, n in result["splits"].items() if n)
    lines = [
        f"{result['kind']}: {result['n']:,} images, {result['used']:,} used, {result['quarantined']:,} quarantined",
        f"{len(result['classes'])} classes; {splits}",
    ]
    if result["problems"]:
        columns = ("file", "reason", "fix", "action")
        rows = [columns, *([str(problem[c]) for c in columns] for problem in result["problems"])]
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
