"""The command `lab`: experiments about how networks work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any

from typer import Argument, Option

from sightline import api
from sightline.errors import UsageError
from sightline.lab.catalogue import find
from sightline.runs.console import Console
from sightline.storage.text import printable

from .answering import Answer, answer
from .options import Json, Quiet, Verbose
from .start import doing

LAB_EXAMPLES = (
    "lab", "lab decision-boundary", "lab decision-boundary data=spirals hidden=64", "lab all --out book", "lab playground",
)  # fmt: skip


def lab(
    name: Annotated[
        str | None, Argument(metavar="[NAME]", help="An experiment, all, or playground; left out, they are listed.")
    ] = None,
    overrides: Annotated[
        list[str] | None, Argument(metavar="[KEY=VALUE]...", help="Other values for the experiment's parameters.")
    ] = None,
    seeds: Annotated[str, Option(help="The seeds to run, with commas.")] = "0,1,2",
    out: Annotated[str, Option(help="The folder for the pages.")] = "lab",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Run an experiment about how networks work: a page with its picture, numbers and checked claims."""

    def work(console: Console) -> Answer:
        if name is None:
            return Answer({"experiments": api.list_experiments()}, _list_text)
        if name == "playground":
            if overrides:
                raise UsageError("lab playground takes no parameters", "choose them on the page")
            return Answer({"page": api.write_playground(out=out)}, lambda result: printable(result["page"]))
        numbers = _seeds(seeds)
        if name != "all":
            find(name)  # a mistyped name is known before torch is imported
        with doing(console, "running all experiments" if name == "all" else f"running {name}"):
            if name == "all":
                if overrides:
                    raise UsageError("lab all takes no parameters", "name one experiment: sightline lab NAME key=value")
                result = api.build_book(seeds=numbers, out=out, console=console)
                return Answer(result, _book_text, exit=0 if result["holds"] else 5)
            from sightline.recipes.reading import parse_overrides

            result = api.run_experiment(name, parse_overrides(overrides or ()), seeds=numbers, out=out, console=console)
        return Answer(result, lambda result: _text(result, overrides or ()), exit=0 if result["holds"] else 5)

    answer(work, json=json, level=verbose - quiet)


def _seeds(text: str) -> list[int]:
    """ "0,1,2" → [0, 1, 2]."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 10 for part in parts) or len(set(parts)) < len(parts):
        raise UsageError(
            f"--seeds {text!r} is not a list of different whole numbers", "write for example --seeds 0,1,2"
        )
    return [int(part) for part in parts]


def _list_text(result: Mapping[str, Any]) -> str:
    lines = []
    for topic, rows in groupby(result["experiments"], key=lambda row: row["topic"]):
        lines += ["", topic, *(f"  {row['name']:<28} {row['title']}" for row in rows)]
    return "\n".join(
        [
            *lines[1:],
            "",
            "Run one: sightline lab NAME; all as a book: sightline lab all; a page to play with: sightline lab playground",
        ]
    )


def _text(result: Mapping[str, Any], overrides: Sequence[str] = ()) -> str:
    lines = [result["title"]]
    for claim in result["claims"]:
        held = all(claim["holds"])
        share = "" if held or len(claim["holds"]) < 2 else f" ({sum(claim['holds'])} of {len(claim['holds'])} seeds)"
        lines.append(f"{'holds' if held else 'DOES NOT HOLD'}{share}: {claim['claim']}  {claim['measured'][0]}")
    if overrides and not result["holds"]:  # not a defect: another question was put
        lines.append(f"The claims are made for the default parameters; here with {' '.join(overrides)}.")
    return "\n".join(map(printable, [*lines, result["page"]]))


def _book_text(result: Mapping[str, Any]) -> str:
    rows = result["experiments"]
    failing = [f"{row['experiment']}: a claim does not hold, see {row['page']}" for row in rows if not row["holds"]]
    return "\n".join(
        [*failing, f"{len(rows)} experiments, {len(failing)} with a claim that does not hold", result["page"]]
    )
