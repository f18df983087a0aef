"""The command `label-errors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Argument, Option

from sightline import api
from sightline.cli.answering import Answer, answer
from sightline.cli.options import AllowNetwork, Json, Quiet, Verbose
from sightline.cli.start import doing
from sightline.cli.tables import table
from sightline.runs.console import Console
from sightline.storage.text import printable

LABEL_ERRORS_EXAMPLES = (
    "label-errors photos/",
    "label-errors photos/ --folds 10 -m resnet18 --out checked/",
    "label-errors runs/photos",
)
_SHOWN = 20  # lines in the terminal


def label_errors(
    what: Annotated[
        str, Argument(metavar="DATA|RUN", help="Data or a recipe, to train folds on; or a run.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        Argument(metavar="[KEY=VALUE]...", help="Recipe keys of the trainings, such as input.size=128."),
    ] = None,
    folds: Annotated[
        int | None, Option(help="Trainings, each on all folds but one; default 5.", show_default=False)
    ] = None,
    model: Annotated[str | None, Option("-m", "--model", help="Their network; default: by the data.")] = None,
    epochs: Annotated[float | None, Option(help="Their epochs; default: as a training, or two thirds.")] = None,
    seed: Annotated[int | None, Option(min=0, help="Their seed; default 0.")] = None,
    device: Annotated[str | None, Option(help="auto, cpu, cuda, mps, or a GPU by its number: 0, cuda:1.")] = None,
    out: Annotated[
        str | None, Option(help="The folder to write; default runs/DATA-label-errors, or RUN/label-errors.")
    ] = None,
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Find labels that are probably wrong, by networks that were not trained on them."""

    def work(console: Console) -> Answer:
        with doing(console, f"checking the labels of {what}"):
            result = api.label_errors(
                what, overrides or (), folds=folds, model=model, epochs=epochs, seed=seed, device=device, out=out,
                allow_network=allow_network, console=console,
            )  # fmt: skip
        return Answer(result.to_json(), _text)

    answer(work, json=json, level=verbose - quiet)


def _text(result: Mapping[str, Any]) -> str:
    """The verdict, and the first candidates."""
    candidates = result["candidates"]
    rows = [("label", "suggested", "fault", "image")]
    rows += [
        (printable(it["label"] or "-"), printable(it["suggested"] or "-"), it["fault"], it["path"])
        for it in candidates[:_SHOWN]
    ]
    more = len(candidates) - _SHOWN
    lines = [result["verdict"], *([table(rows)] if candidates else [])]
    lines += [f"… and {more:,} more in {printable(result['folder'])}/label-errors.csv"] if more > 0 else []
    return "\n".join([*lines, f"{printable(result['folder'])}/label-errors.html"])
