"""The command `attack`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Argument, Option

from sightline import api
from sightline.cli.answering import Answer, answer
from sightline.cli.options import AllowNetwork, Device, Json, OwnModel, Quiet, RunOrModel, Verbose
from sightline.cli.start import doing
from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.storage.text import printable

ATTACK_EXAMPLES = (
    "attack runs/photos",
    "attack runs/photos --method square --eps 4,8 --n 500",
    "attack runs/photos --method corruptions",
)


def attack(  # noqa: PLR0913 - options are what a command line is for
    run: RunOrModel,
    data: Annotated[
        str | None,
        Argument(metavar="[DATA]", help="Other images with the run's classes; default: its own test images."),
    ] = None,
    method: Annotated[
        str, Option(help="fgsm, pgd, apgd, square, one-pixel, patch, fooling, corruptions or changes.")
    ] = "pgd",
    eps: Annotated[str | None, Option(help="Budgets in levels of 255, such as 2,4,8; default: by the method.")] = None,
    steps: Annotated[int | None, Option(min=1, help="Gradient steps, queries or generations.")] = None,
    norm: Annotated[str | None, Option(help="linf or l2.")] = None,
    target: Annotated[str | None, Option(metavar="CLASS", help="The class to reach; default: any other.")] = None,
    region: Annotated[
        str | None, Option(metavar="CLASS", help="Attack only the pixels or objects of this class.")
    ] = None,
    object: Annotated[
        int | None,
        Option("--object", min=0, metavar="N", help="Attack only this detection of each image, 0 the surest."),
    ] = None,
    n: Annotated[
        int | None, Option("--n", "-n", min=1, help="Images at most; default 200, of segmenters and detectors 20.")
    ] = None,
    split: Annotated[str | None, Option(help="train, val or test.")] = None,
    seed: Annotated[int, Option(min=0, help="The seed of all random numbers.")] = 0,
    out: Annotated[str | None, Option(help="The folder to write; default RUN/attacks.")] = None,
    model: OwnModel = None,
    device: Device = "auto",
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """How right is a network on images that were changed to fool it, or that were corrupted?"""

    def work(console: Console) -> Answer:
        budgets = _budgets(eps)
        with doing(console, f"attacking {run} with {method}"):
            result = api.attack(
                run, data, method=method, eps=budgets, steps=steps, norm=norm, target=target, region=region,
                object=object, n=n, split=split, seed=seed, out=out, device=device, model=model, allow_network=allow_network,
                console=console,
            )  # fmt: skip
        return Answer(result.to_json(), _text)

    answer(work, json=json, level=verbose - quiet)


def _budgets(text: str | None) -> list[float] | None:
    """ "2,4,8", also as "8/255". UsageError for anything else."""
    if text is None:
        return None
    try:
        return [float(part.strip().removesuffix("/255")) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--eps {text} is no list of numbers", "use levels of 255, such as --eps 2,4,8") from error


def _text(result: Mapping[str, Any]) -> str:
    """The verdict, and a line for each point of the curve."""
    lines = [str(result["verdict"])]
    for point in result.get("curve", ()):
        low, high = point["interval"] or (float("nan"),) * 2
        at = "one pixel" if point["eps"] is None else f"eps {point['eps']:g}"
        if "accuracy" not in point:
            lines.append(f"  {at:>9}  {point['name']} {point['value']:.4f} ({low:.4f} to {high:.4f})")
            continue
        before = point["accuracy_before_rounding"]
        lines.append(
            f"  {at:>9}  accuracy {point['accuracy']:.4f} ({low:.4f} to {high:.4f}), before rounding {before:.4f}"
        )
    return "\n".join([*lines, printable(str(result["page"]))])
