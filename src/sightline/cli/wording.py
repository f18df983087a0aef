"""The results of verbs as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.storage.text import printable

from .tables import table

# of all tasks, in the order in which they are shown
_SUMMARY = (
    "skill",
    "accuracy",
    "top5_accuracy",
    "mean_iou",
    "map",
    "r2",
    "mae",
    "mae_of_mean",
    "mask_ap50",
    "ap50",
    "loss",
    "macro_f1",
    "pixel_accuracy",
    "mask_ap",
    "ap",
)
_PER_CLASS = (
    "support", "known", "mae", "mae_of_mean", "rmse", "rmse_of_mean", "r2",
    "skill", "error", "guess", "found", "precision", "recall", "f1", "iou", "dice", "mask_ap", "mask_ap50", "ap", "ap50",
)  # fmt: skip
_CLASSES = 200  # classes that the audit of a data set lists
_NAMED = 3  # metrics in the summary of a run


def summary_text(result: Mapping[str, Any]) -> str:
    split = "test" if result["test"] else "val"
    metrics = result[split] or {}
    names = [name for name in _SUMMARY if name in metrics] or list(metrics)
    lines = [f"{_in_words(name)} {_figure(metrics[name])}" for name in names][:_NAMED]
    rate = f", {result['images_per_second']:,.0f} images/s" if result["images_per_second"] else ""
    headline = f"{split} {', '.join(lines)}" if metrics else "not evaluated: there are no val or test images"
    steps, seconds = result["steps"], result["seconds"]
    duration = f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if result["smoke"]:
        headline = f"rehearsal only, so these figures mean nothing: {headline}"
    return f"{printable(result['run'])}: {headline} ({steps:,} step{'' if steps == 1 else 's'}, {duration}{rate})"


def _in_words(metric: str) -> str:
    return metric.replace("top5", "top-5").replace("_", " ")


def evaluation_text(result: Mapping[str, Any]) -> str:
    rows = [("metric", "value", "95 % interval")]
    for name, value in result["metrics"].items():
        interval = result["intervals"].get(name)
        none = f"none: {result['reasons'][name]}" if name in result.get("reasons", {}) else ""
        rows.append((name, _figure(value), f"{_end(interval[0])} to {_end(interval[1])}" if interval else none))
    first: Mapping[str, Any] = next(iter(result["per_class"].values()), {})
    columns = [name for name in _PER_CLASS if name in first]
    classes: list[tuple[str, ...]] = [("class", *columns)]
    classes += [(printable(name), *(_figure(row[k]) for k in columns)) for name, row in result["per_class"].items()]
    head = f"{printable(result['run'])}, {result['split']}, n = {result['n']:,}"
    slices = [*slice_lines(result.get("slices") or {}), *_curve_lines(result.get("learning_curve"))]
    speed = _speed_lines(result.get("speed"))
    views = _views_lines(result.get("views"))
    return "\n".join([head, table(rows), *views, "", table(classes), *_undefined(result["per_class"]), *slices, *speed])


def _views_lines(views: Mapping[str, Any] | None) -> list[str]:
    """What averaging over views gains and costs."""
    if not views:
        return []
    span = (
        "no interval"
        if views["interval"] is None
        else "95 % " + " to ".join(f"{end:+.4f}" for end in views["interval"])
    )
    return [
        f"{views['n']} views ({views['views']}): {views['score']} {_figure(views['one'])} with one, "
        f"{_figure(views['all'])} with all: {views['gain']:+.4f} ({span}), {views['cost']:.1f} times the time"
    ]


def _speed_lines(speed: Mapping[str, Any] | None) -> list[str]:
    """Frames a second with their conditions."""
    if not speed:
        return []
    threads = f", {speed['threads']} thread{'' if speed['threads'] == 1 else 's'}" if speed["device"] == "cpu" else ""
    where = f"{speed['height']}x{speed['width']}, {speed['device']}{threads}"
    return [f"{speed['fps']:,.3g} frames a second, one image at a time ({where}; reading of files not counted)"]


def _curve_lines(curve: Mapping[str, Any] | None) -> list[str]:
    """The points of a learning curve, and the forecast for twice the images."""
    if not curve:
        return []
    ahead, name = curve["twice"], _in_words(curve["metric"])
    lines = [f"{point['n']:,} training images: {name} {_figure(point['value'])}" for point in curve["points"]]
    span = " to ".join(_figure(end) for end in ahead["interval"])
    return ["", *lines, f"{ahead['n']:,} would give about {_figure(ahead['value'])} ({span})"]


def slice_lines(slices: Mapping[str, Any]) -> list[str]:
    """The slices on which the model does worse: a line each; or that none is confirmed, or why none was searched."""
    lines = [
        f"{printable(one['words'])}: {slices['score']} {_figure(abs(one['value']))} "
        f"({' to '.join(_figure(end) for end in sorted(map(abs, one['interval'])))}) against {_figure(abs(one['rest']))}, "
        f"n = {one['n']:,}"
        for one in slices.get("found", ())
    ]
    if lines:
        return ["", "worse on:", *lines]
    if slices.get("reason"):
        return ["", f"slices were not searched: {printable(slices['reason'])}"]
    return ["", f"no slice is worse beyond chance ({slices['tried']:,} conditions tried)"] if "tried" in slices else []


def _undefined(per_class: Mapping[str, Any]) -> list[str]:
    """Why figures of classes are undefined: a line a figure and reason."""
    classes: dict[tuple[str, str], list[str]] = {}
    for name, row in per_class.items():
        for column, reason in row.get("reasons", {}).items():
            if row.get(column) is None:
                classes.setdefault((column, reason), []).append(printable(name))
    lines = [
        f"{column} undefined for {', '.join(names[:5])}{' …' if names[5:] else ''}: {reason}"
        for (column, reason), names in classes.items()
    ]
    return ["", *lines] if lines else []


def _end(value: float) -> str:
    """An end of an interval: only 1 is written as 1, and only 0 as 0."""
    digits = next((d for d in (4, 5, 6) if not 0 < value < 1 or round(value, d) not in (0, 1)), 7)
    return f"{value:.{digits}f}"


def convert_text(result: Mapping[str, Any]) -> str:
    """What was written, and where."""
    splits = ", ".join(f"{count:,} {name}" for name, count in result["splits"].items())
    images = f"{result['images']:,} images of {len(result['classes'])} classes" + (f" ({splits})" if splits else "")
    return f"{result['folder']}  {result['to']}: {images}"


def export_text(result: Mapping[str, Any]) -> str:
    parity, lines = result["parity"], [f"{printable(result['folder'])}: {result['model']} as {result['to']}"]
    agreement = f"equal to the run on {parity['images']} images ({parity['origin']}), batches of 1, 3 and 8"
    lines[0] += f", {result['precision']}; {agreement}"
    for graph in result["graphs"].values():
        latency = ", ".join(
            f"{key.removesuffix('_ms').replace('_', ' ')} {ms:.3g} ms" for key, ms in graph.get("latency", {}).items()
        )
        opset = f"opset {graph['opset']}, " if "opset" in graph else ""
        lines.append(f"{graph['file']}  {opset}exporter {graph['exporter']}{f'; {latency}' if latency else ''}")
    return "\n".join(lines)


def models_text(result: Mapping[str, Any]) -> str:
    rows = [("name", "family", "outputs", "parameters", "multiply-adds", "input")]
    for m in result["models"]:
        multiply_adds = "" if m["multiply_adds"] is None else f"{m['multiply_adds']:,}"
        size = "x".join(map(str, m["input"]))
        rows.append((m["name"], m["family"], m["outputs"], f"{m['parameters']:,}", multiply_adds, size))
    return table(rows)


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
    return f"{table(rows)}\n{note}\n{result['name']}: {totals}"


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
        f"task: {result['task']}; images of {result['sizes']}",
        f"{len(result['classes'])} classes; {splits}",
    ]
    if result["classes"]:
        lines += ["", table(_class_rows(result))]
    if hidden := len(result["classes"]) - _CLASSES:
        lines += [f"… and {hidden:,} more classes; --json lists them"] if hidden > 0 else []
    if result["problems"]:
        columns = ("file", "reason", "fix", "action")
        rows = [columns, *([str(problem[c]) for c in columns] for problem in result["problems"])]
        lines += ["", table(rows)]
    if advice := result.get("advice"):
        lines += ["", f"{advice['key']}: {advice['reason']}", f"read beside it: {advice['beside']}"]
        lines += [f"then {advice['threshold']}"] if advice["threshold"] else []
    return "\n".join(lines)


def _class_rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The images of each class in each split that exists; for pixels and boxes, the pixels and objects beside them."""
    splits = [name for name, n in result["splits"].items() if n]
    amounts = result["amounts"]
    head = ["class", *splits]
    if amounts:
        head = ["class", *(f"{split} images" for split in splits), *(f"{split} {amounts['unit']}" for split in splits)]
    rows = [tuple(head)]
    for name in result["classes"][:_CLASSES]:
        cells = [f"{result['counts'][name][split]:,}" for split in splits]
        if amounts:
            cells += [f"{amounts['of'][name][split]:,}" for split in splits]
        rows.append((printable(name), *cells))
    return rows


def checks_text(rows: Sequence[Mapping[str, Any]], name: str, value: str) -> str:
    return table([(printable(str(row[name])), printable(str(row[value]))) for row in rows])


def _figure(value: float | None) -> str:
    if value is None:
        return "undefined"
    return str(value) if isinstance(value, int) else f"{value:.4f}"
