"""The command `explain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Argument, Option

from sightline.cli.answering import Answer, answer
from sightline.cli.options import AllowNetwork, Device, Json, OwnModel, Quiet, RunOrModel, Verbose
from sightline.cli.start import doing
from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.storage.text import printable

EXPLAIN_EXAMPLES = (
    "explain runs/photos cat.jpg",
    "explain runs/photos new/ --method grad_cam,occlusion --target dog",
    "explain efficientnet_lite0 cat.jpg --method all --out why",
)


def explain(
    run: RunOrModel,
    images: Annotated[
        list[str] | None, Argument(metavar="IMAGE...", help="Images, folders of images, or .txt lists of paths.")
    ] = None,
    method: Annotated[
        str | None,
        Option(
            help="gradient, input_x_gradient, smoothgrad, integrated_gradients, guided_backprop, deconvnet, grad_cam, "
            "grad_cam_plus_plus, occlusion, rise, attention or rollout; several with commas; or all.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None, Option(metavar="CLASS", help="The class to explain; default: the prediction.")
    ] = None,
    object: Annotated[
        int | None, Option("--object", metavar="N", help="The detection to explain, in the order of predict; 0 first.")
    ] = None,
    out: Annotated[str | None, Option(help="The folder to write; default RUN/explanation.")] = None,
    model: OwnModel = None,
    device: Device = "auto",
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Show which pixels a prediction depends on: heat maps with their controls, as a page, a sheet and arrays."""

    def work(console: Console) -> Answer:
        if not images:
            raise UsageError("no image is named", "add the path of an image: sightline explain RUN IMAGE")
        with doing(console, f"explaining {run}"):
            from sightline import api

            options: dict[str, Any] = {} if method is None else {"method": method}
            result = api.explain(
                run, images, target=target, object=object, out=out, device=device, model=model,
                allow_network=allow_network, console=console,
                **options,
            )  # fmt: skip
        return Answer(result.to_json(), _text, exit=3 if result.failed == len(result.rows) else 0)

    answer(work, json=json, level=verbose - quiet)


def _text(result: Mapping[str, Any]) -> str:
    """What is explained, what was left out, and where the page is."""
    lines = []
    for row in result["images"]:
        if "error" in row:
            lines.append(f"{row['path']}: {row['error']}")
            continue
        lines.append(f"{row['path']}: {row['answer']}; explained: {row['explained']}")
        for name, facts in row["methods"].items():
            if "refused" in facts:
                lines.append(f"  {name} is left out: {facts['refused']}")
            elif facts["ignores_the_head"]:
                lines.append(f"  {name} hardly depends on what was learned: see the page")
    return "\n".join(map(printable, [*lines, result["page"]]))
