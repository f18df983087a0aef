"""The command `sample`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Option

from sightline import api
from sightline.cli.answering import Answer, answer
from sightline.cli.options import Device, Json, Quiet, RunFolder, Verbose
from sightline.cli.start import doing
from sightline.runs.console import Console
from sightline.storage.text import printable

SAMPLE_EXAMPLES = (
    "sample runs/mnist-dcgan",
    "sample runs/mnist-dcgan --n 16 --class 7 --seed 3 --out sevens/",
    "sample runs/mnist-dcgan --walk",
)


def sample(  # noqa: PLR0913 - options are what a command line is for
    run: RunFolder,
    n: Annotated[int, Option("--n", "-n", min=1, help="How many images.")] = 64,
    label: Annotated[
        str | None, Option("--class", metavar="CLASS", help="The class of all; default: each in turn.")
    ] = None,
    text: Annotated[str | None, Option(help="What all images are to show, in words.")] = None,
    steps: Annotated[int | None, Option(min=1, help="Steps of an iterative sampler.")] = None,
    guidance: Annotated[float | None, Option(help="Weight of class or text in classifier-free guidance.")] = None,
    sampler: Annotated[str | None, Option(help="ddim or ddpm; of flow matching heun or euler.")] = None,
    seed: Annotated[int, Option(min=0, help="The seed of all random numbers.")] = 0,
    first: Annotated[int, Option(min=0, help="The number of the first image; image i depends on seed and i only.")] = 0,
    out: Annotated[str | None, Option(help="The folder to write; default RUN/generated.")] = None,
    walk: Annotated[bool, Option("--walk", help="Also write a walk from image to image as a GIF.")] = False,
    device: Device = "auto",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Let a generative network make images: PNG files, a contact sheet, and what they were made of."""

    def work(console: Console) -> Answer:
        with doing(console, f"making images with {run}"):
            result = api.sample(
                run, n, label=label, text=text, steps=steps, guidance=guidance, sampler=sampler, seed=seed,
                first=first, out=out, walk=walk, device=device, console=console,
            )  # fmt: skip
        return Answer(result.to_json(), _text)

    answer(work, json=json, level=verbose - quiet)


def _text(result: Mapping[str, Any]) -> str:
    folder = printable(str(result["folder"]))
    return f"{result['n']:,} images in {folder}; {folder}/{result['sheet']} shows them together"
