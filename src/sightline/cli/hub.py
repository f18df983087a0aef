"""The commands `hub push` and `hub pull`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer import Argument, Option

from sightline.runs.console import Console

from .answering import Answer, answer
from .options import Json, Quiet, RunFolder, Verbose

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Push a run to a model hub, or pull one.")
Repository = Annotated[str, Argument(metavar="OWNER/NAME", help="The model repository.", show_default=False)]
Endpoint = Annotated[str | None, Option(metavar="URL", help="The hub; default HF_ENDPOINT or huggingface.co.")]
Network = Annotated[bool, Option("--allow-network", help="Contact the hub.")]


@app.command()
def push(
    run: RunFolder,
    repository: Repository,
    with_samples: Annotated[
        bool, Option("--with-samples", help="Also the report and samples, which show images of the data.")
    ] = False,
    public: Annotated[bool, Option("--public", help="Make a new repository public; else it is private.")] = False,
    endpoint: Endpoint = None,
    allow_network: Network = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Push a finished run: network, model card, recipe and figures; no images. The token: HF_TOKEN, or `hf auth login`."""

    def work(console: Console) -> Answer:
        from sightline import api

        result = api.push(
            run, repository, with_samples=with_samples, public=public, endpoint=endpoint, allow_network=allow_network,
            console=console,
        )  # fmt: skip
        return Answer(result, _pushed)

    answer(work, json=json, level=verbose - quiet)


@app.command()
def pull(
    repository: Repository,
    out: Annotated[str | None, Argument(metavar="[DIR]", help="The folder; default OWNER-NAME.")] = None,
    endpoint: Endpoint = None,
    allow_network: Network = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Pull a run, check every file against its manifest, and open it. OWNER/NAME@REVISION pulls a revision."""

    def work(console: Console) -> Answer:
        from sightline import api

        run = api.pull(repository, out, endpoint=endpoint, allow_network=allow_network, console=console)
        return Answer({"run": str(run.folder), "repository": repository}, lambda result: str(result["run"]))

    answer(work, json=json, level=verbose - quiet)


def _pushed(result: dict[str, Any]) -> str:
    return f"{result['url']}  {len(result['files'])} files, commit {result['commit'][:12]}"
