"""`predict` on the command line: rows are printed as they come, and none is held."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Annotated, Any

from typer import Argument, Option

from sightline import api
from sightline.errors import ResourceError
from sightline.runs.console import Console
from sightline.storage.text import json_text, printable

from .answering import Answer, answer, print_parts
from .options import AllowNetwork, Device, Json, OwnModel, Quiet, RunOrModel, Verbose
from .start import doing

PREDICT_EXAMPLES = (
    "predict runs/photos new/cat.jpg",
    "predict runs/photos 'new/*.jpg' --out predictions.csv --draw pictures/",
    "predict runs/cells clip.mp4 --draw out/ --every 5 --conf 0.4 --classes RBC,WBC",
)
PREDICT_EXITS = (
    "Exit codes: 0 predicted; 2 a path, option or class that there is not; 3 no image could be read, or a damaged run; "
    "6 disk, memory, device, or an extra that is not installed."
)
_PAGE, _SOON = 64, 1.0  # rows whose columns are aligned together; seconds after which fewer are printed
_HELD = 1 << 20  # bytes of a JSON answer in memory; what is longer waits in a temporary file


def predict(  # noqa: PLR0913 - options are what a command line is for
    run: RunOrModel,
    paths: Annotated[
        list[str],
        Argument(
            metavar="PATH...",
            help="Images, folders, archives, patterns in quotes, .txt lists of paths, addresses, videos, or "
            "camera:0. With more run folders, their predictions are averaged.",
        ),
    ],
    out: Annotated[
        str | None,
        Option(
            help="Write predictions to a .csv or .jsonl file. Segmentation: to a .jsonl file, or to a folder, which also "
            "gets a PNG for each image whose pixel values are class indexes (0 is the first class of data.json)."
        ),
    ] = None,
    draw: Annotated[
        str | None, Option(metavar="DIR", help="Write each image with its prediction on it; a video as an .mp4.")
    ] = None,
    conf: Annotated[
        float | None,
        Option(
            metavar="0..1",
            help="Leave out objects below this score (default: that of best F1 on val); mark classes below it uncertain.",
        ),
    ] = None,
    classes: Annotated[
        str | None, Option("--classes", metavar="A,B", help="Leave out predictions of other classes.")
    ] = None,
    labels: Annotated[
        str | None,
        Option(
            metavar="PROMPTS",
            help='Of a run of kind contrastive: choose among these labels, as "a photo of a {}: cat, dog".',
        ),
    ] = None,
    every: Annotated[int, Option(min=1, metavar="N", help="Of a video, predict every N-th frame.")] = 1,
    model: OwnModel = None,
    device: Device = "auto",
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Predict the class, the masks or the objects of images. Files that cannot be read are listed with their error."""

    def work(console: Console) -> Answer:
        printer: JsonRows | TableRows = JsonRows() if json else TableRows()
        with doing(console, f"predicting with {run}"):
            result = api.predict(
                run, paths, out=out, draw=draw, conf=conf, classes=classes, labels=labels, every=every, device=device,
                model=model, allow_network=allow_network, each=printer.add, console=console,
            )  # fmt: skip
        facts = {"run": str(result.folder), "n": result.n, "failed": result.failed}
        return Answer(facts, lambda _: "", 3 if result.failed == result.n else 0, printer.parts(facts))

    answer(work, json=json, level=verbose - quiet)


@dataclass
class JsonRows:
    """Rows as JSON, kept in memory only while they are few: the object around them begins with their number."""

    file: IO[str] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(_HELD, "w+", encoding="ascii")  # type: ignore[arg-type,return-value]  # noqa: SIM115
    )
    comma: str = ""

    def add(self, answers: Any, row: Mapping[str, Any]) -> None:
        self.file.write(self.comma + json_text(row, indent=None))
        self.comma = ", "

    def parts(self, facts: Mapping[str, Any]) -> Iterator[str]:
        yield json_text(facts, indent=None)[:-1] + ', "predictions": ['
        self.file.seek(0)
        while text := self.file.read(_HELD):
            yield text
        yield "]}\n"


@dataclass
class TableRows:
    """A table that is printed page by page: its columns are as wide as the widest cell so far."""

    page: list[Sequence[str]] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def add(self, answers: Any, row: Mapping[str, Any]) -> None:
        if not self.widths:
            heads = ("path", *(("frame",) if "frame" in row else ()), *answers.heads)
            self.widths = [0] * len(heads)
            self.page.append(heads)
        first = (row["path"], *((str(row["frame"]),) if "frame" in row else ()))
        cells = (f"error: {row['error']}",) if "error" in row else answers.cells(row)
        self.page.append(tuple(map(printable, (*first, *cells))))
        if len(self.page) >= _PAGE or time.monotonic() - self.since > _SOON:
            if problem := print_parts(self._lines()):
                raise ResourceError(f"the answer could not be written to stdout: {problem}", "")
            self.since = time.monotonic()

    def parts(self, facts: Mapping[str, Any]) -> Iterable[str]:
        return self._lines()

    def _lines(self) -> Iterator[str]:
        for cells in self.page:
            if len(cells) == len(self.widths):
                self.widths = [max(w, len(c)) for w, c in zip(self.widths, cells, strict=True)]
            else:
                self.widths[0] = max(self.widths[0], len(cells[0]))
        for cells in self.page:
            yield "  ".join(c.ljust(w) for c, w in zip(cells, self.widths, strict=False)).rstrip() + "\n"
        self.page = []
