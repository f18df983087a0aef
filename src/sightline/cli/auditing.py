"""The command `data`."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from sightline import api
from sightline.runs.console import Console

from .answering import Answer, answer
from .options import AllowNetwork, Json, Quiet, Verbose
from .start import reading
from .wording import data_text

DATA_EXAMPLES = ("data photos/", "data photos/ --show sample.png", "data photos.zip", "data x-rays/ --worse miss")


def data(
    what: Annotated[
        str, Argument(metavar="DATA", help="A built-in data set, the path of a folder or file, or an address.")
    ],
    show: Annotated[
        str | None,
        Option(metavar="FILE.png", help="Write some images of each split with what is known of them; or a folder."),
    ] = None,
    worse: Annotated[
        str | None, Option(help="What costs more, a miss, a false-alarm or neither: which metric should decide?")
    ] = None,
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Audit a data set as training would: its format, classes, splits and problems."""

    def work(console: Console) -> Answer:
        with reading(console, what, "auditing"):
            result = api.audit(what, show=show, worse=worse, allow_network=allow_network, console=console)
        return Answer(result, data_text)

    answer(work, json=json, level=verbose - quiet)
