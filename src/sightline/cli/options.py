"""Options and arguments that several verbs have."""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

Json = Annotated[bool, Option("--json", help="Print one JSON object as the last line of stdout.")]
Verbose = Annotated[
    int,
    Option("-v", "--verbose", count=True, help="Print more, such as every problem in the data.", show_default=False),
]
Quiet = Annotated[bool, Option("-q", "--quiet", help="Print warnings and the answer only.")]
RunFolder = Annotated[str, Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Device = Annotated[str, Option(help="auto, cpu, cuda, mps, or a GPU by its number: 0, cuda:1.")]
RunOrModel = Annotated[
    str,
    Argument(
        metavar="RUN",
        help="The folder of a run or of an export, or a network with published weights.",
        show_default=False,
    ),
]
AllowNetwork = Annotated[
    bool, Option("--allow-network", help="Fetch what is not in the cache: data at an address, published weights.")
]
OwnModel = Annotated[
    str | None,
    Option("-m", "--model", metavar="MODULE:NAME", help="The run's network where it is code of your own."),
]
