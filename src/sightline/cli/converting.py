"""The command `convert`."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from sightline.runs.console import Console

from .answering import Answer, answer
from .options import Json, Quiet, Verbose
from .start import reading
from .wording import convert_text

CONVERT_EXAMPLES = (
    "convert boxes/ boxes-coco/ --to coco",
    "convert data.yaml voc/ --to voc",
    "convert labels.csv shards/ --to webdataset",
)


def convert(
    what: Annotated[str, Argument(metavar="SRC", help="A built-in data set, or a path.", show_default=False)],
    out: Annotated[str, Argument(metavar="DST", help="The folder to write: new, or empty.", show_default=False)],
    to: Annotated[str, Option(help="coco, voc, yolo, folder, parquet or webdataset.", show_default=False)],
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a data set in the form of another program, with the same images, classes, splits and annotations."""

    def work(console: Console) -> Answer:
        from sightline import api

        with reading(console, what, "converting"):
            result = api.convert(what, out, to=to, console=console)
        return Answer(result, convert_text)

    answer(work, json=json, level=verbose - quiet)
