"""The command `compare`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Argument, Option

from sightline import api
from sightline.cli.answering import Answer, answer
from sightline.cli.options import AllowNetwork, Device, Json, Quiet, Verbose
from sightline.cli.start import doing
from sightline.cli.tables import table
from sightline.runs.console import Console
from sightline.storage.text import printable

COMPARE_EXAMPLES = (
    "compare runs/a runs/b",
    "compare runs/a runs/b runs/c --ensemble --out compare.html",
    "compare runs/a runs/b --data new_photos/",
)


def compare(
    runs: Annotated[list[str], Argument(metavar="RUN RUN...", help="Runs of one task.", show_default=False)],
    data: Annotated[
        str | None, Option(help="Other data, which all of them predict; default: their stored predictions.")
    ] = None,
    split: Annotated[str | None, Option(help="train, val or test; default test, or val without a test split.")] = None,
    ensemble: Annotated[bool, Option("--ensemble", help="Judge the mean of their predictions too.")] = False,
    out: Annotated[str | None, Option(metavar="FILE.html", help="Write the page.")] = None,
    device: Device = "auto",
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Compare runs on the same images: which is better by more than chance, in what they differ, what they cost."""

    def work(console: Console) -> Answer:
        with doing(console, f"comparing {', '.join(runs)}"):
            result = api.compare(
                runs, data, split=split, ensemble=ensemble, out=out, device=device, allow_network=allow_network,
                console=console,
            )  # fmt: skip
        return Answer(result.to_json(), _text)

    answer(work, json=json, level=verbose - quiet)


def _text(result: Mapping[str, Any]) -> str:
    """The verdict, runs with metric and cost, pairs, and in what the runs differ."""
    metric = result["metric"]
    heads = ("run", metric, "95 % interval", "parameters", "ms/image (1)", "ms/image (16)", "images/s", "memory MB")
    rows: list[tuple[Any, ...]] = [heads]
    for run in result["runs"]:
        cost = run["cost"]
        rows.append(
            (
                printable(run["name"]), _figure(run["metrics"].get(metric)), _span(run["interval"]), f"{cost['parameters']:,}",
                f"{cost['ms_batch_1']:.3g}", f"{cost['ms_batch_16']:.3g}", f"{cost['images_per_second']:,.0f}",
                "" if cost["memory_mb"] is None else f"{cost['memory_mb']:,.4g}",
            )
        )  # fmt: skip
    if found := result["ensemble"]:
        rows.append(("ensemble", _figure(found["metrics"].get(metric)), _span(found["interval"]), *[""] * 5))
    pairs = [("pair", f"gain in {result['score']}", "95 % interval", "adjusted p", "different")]
    pairs += [
        (
            f"{printable(pair['first'])} - {printable(pair['second'])}", f"{pair['gain']:+.4f}", _span(pair["interval"]),
            f"{pair['adjusted_p']:.2g}", "yes" if pair["different"] else "no",
        )
        for pair in result["pairs"]
    ]  # fmt: skip
    if found:
        best = printable(result["runs"][found["best"]]["name"])
        gain = found["over_best"]
        pairs.append((f"ensemble - {best}", f"{gain['gain']:+.4f}", _span(gain["interval"]), f"{gain['p']:.2g}", ""))
    unlike = [(f"{part} {key}", values) for part, of in result["differences"].items() for key, values in of.items()]
    lines = [f"{key}: {' | '.join(map(str, values))}" for key, values in unlike]
    return "\n".join(
        [result["verdict"], "", table(rows), "", table(pairs), *(["", *map(printable, lines)] if lines else [])]
    )


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _span(interval: Any) -> str:
    return "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
