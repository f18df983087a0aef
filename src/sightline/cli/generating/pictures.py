"""The commands `stylise`, `faces` and `swap`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Argument, Option

from sightline import api
from sightline.cli.answering import Answer, answer
from sightline.cli.options import Device, Json, Quiet, RunFolder, Verbose
from sightline.cli.start import doing
from sightline.runs.console import Console
from sightline.storage.text import printable

STYLISE_EXAMPLES = (
    "stylise photo.jpg painting.jpg --out styled.png",
    "stylise photo.jpg painting.jpg --out styled.png --steps 400 --weight 10",
    "stylise photo.jpg painting.jpg --out styled.png --run runs/any-style",
)
FACES_EXAMPLES = ("faces rendered/", "faces rendered/ --n 200 --each 10 --size 64 --seed 1")
SWAP_EXAMPLES = (
    "swap runs/faces rendered/images/000_00.png rendered/images/001_03.png --out swapped.png",
    "swap runs/faces me.png frames/ --out portrait/ --reenact --consent",
)


def stylise(  # noqa: PLR0913 - options are what a command line is for
    content: Annotated[str, Argument(metavar="CONTENT", help="The picture.", show_default=False)],
    style: Annotated[str, Argument(metavar="STYLE", help="The picture whose style it gets.", show_default=False)],
    out: Annotated[str, Option(help="The .png to write.")] = "styled.png",
    run: Annotated[
        str | None,
        Option(metavar="RUN", help="A run of task.kind=style with task.method=adain; default: optimisation."),
    ] = None,
    features: Annotated[
        str | None, Option(help="Of optimisation: a classifier with published weights, or a run (efficientnet_lite0).")
    ] = None,
    weight: Annotated[float | None, Option(help="Of the style beside the content (1).")] = None,
    steps: Annotated[int | None, Option(min=1, help="Of optimisation (200).")] = None,
    size: Annotated[int | None, Option(help="Pixels of a side (160, or as the run was trained).")] = None,
    seed: Annotated[int | None, Option(min=0, help="The seed of the noise that optimisation starts from.")] = None,
    device: Device = "auto",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Make the content of one picture in the style of another."""

    def work(console: Console) -> Answer:
        with doing(console, f"making {content} in the style of {style}"):
            result = api.stylise(
                content, style, out=out, run=run, features=features, weight=weight, steps=steps, size=size, seed=seed,
                device=device, console=console,
            )  # fmt: skip
        return Answer(result, _stylised)

    answer(work, json=json, level=verbose - quiet)


def _stylised(result: Mapping[str, Any]) -> str:
    text = printable(str(result["picture"]))
    if "content_left" not in result:
        return text
    left = f"{100 * result['content_left']:.1f} % of the content loss and {100 * result['style_left']:.1f} % of the style loss"
    return f"{text}: {left} are left"


def faces(
    out: Annotated[str, Argument(metavar="DIR", help="The new folder.", show_default=False)],
    n: Annotated[int, Option("--n", "-n", min=1, help="How many different faces.")] = 100,
    each: Annotated[int, Option(min=1, help="Images of each face.")] = 8,
    size: Annotated[int, Option(help="Pixels of a side.")] = 64,
    seed: Annotated[int, Option(min=0, help="The seed of all random numbers.")] = 0,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Render heads with known landmarks, masks and identities, to train on without anybody's photograph."""

    def work(console: Console) -> Answer:
        with doing(console, f"rendering faces into {out}"):
            result = api.faces(out, n=n, each=each, size=size, seed=seed, console=console)
        return Answer(result, _rendered)

    answer(work, json=json, level=verbose - quiet)


def _rendered(result: Mapping[str, Any]) -> str:
    return f"{result['images']:,} images of {result['faces']:,} faces in {printable(str(result['folder']))}"


def swap(
    run: RunFolder,
    source: Annotated[str, Argument(metavar="SOURCE", help="The picture with the face.", show_default=False)],
    target: Annotated[
        str, Argument(metavar="TARGET", help="The picture that gets it, or a folder of pictures.", show_default=False)
    ],
    out: Annotated[str, Option(help="The .png to write; for a folder of targets, a folder.")] = "swapped.png",
    method: Annotated[str, Option(help="network, or warp: landmarks are moved, without a generator.")] = "network",
    blend: Annotated[
        str | None, Option(help="network, poisson or none; default network, with --method warp poisson.")
    ] = None,
    reenact: Annotated[
        bool, Option("--reenact", help="The source in the pose and with the expression of each target instead.")
    ] = False,
    consent: Annotated[
        bool, Option("--consent", help="Everybody in the pictures has agreed; needed for photographs.")
    ] = False,
    device: Device = "auto",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Put the face of one picture into another, or move it as the other moves. What is written says that it is artificial."""

    def work(console: Console) -> Answer:
        with doing(console, f"swapping faces with {run}"):
            result = api.swap(
                run, source, target, out=out, method=method, blend=blend, reenact=reenact, consent=consent,
                device=device, console=console,
            )  # fmt: skip
        return Answer(result, _swapped)

    answer(work, json=json, level=verbose - quiet)


def _swapped(result: Mapping[str, Any]) -> str:
    lines = [printable(str(path)) for path in result["pictures"]]
    return "\n".join([*lines, *([printable(str(result["film"]))] if "film" in result else [])])
