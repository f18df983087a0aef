"""The command `explain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from sightline.cli.answering import Answer, answer
from sightline.cli.options import AllowNetwork, Device, Json, OwnModel, Quiet, RunOrModel, Verbose
from sightline.cli.start import doing
from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.storage.text import printable

if TYPE_CHECKING:
    from sightline.explanation.explain import Level

EXPLAIN_EXAMPLES = (
    "explain runs/photos cat.jpg",
    "explain runs/photos new/ --method grad_cam,occlusion --target dog",
    "explain efficientnet_lite0 cat.jpg --method all --out why",
    "explain runs/photos",
    "explain runs/photos --method patches --layer layer2",
)


def explain(  # noqa: PLR0913 - options are what a command line is for
    run: RunOrModel,
    images: Annotated[
        list[str] | None,
        Argument(
            metavar="[IMAGE...]",
            help="Images, folders of images, or .txt lists of paths. None: what the network's units respond to.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        Option(
            help="gradient, input_x_gradient, smoothgrad, integrated_gradients, guided_backprop, deconvnet, grad_cam, "
            "grad_cam_plus_plus, occlusion, rise, attention, rollout or graph_cut. Without an image: filters, "
            "activations, patches, "
            "class_images, dream, neighbours, map, positions or attention. Several with commas; or all.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None, Option(metavar="CLASS", help="The class to explain; default: the prediction.")
    ] = None,
    object: Annotated[
        int | None,
        Option("--object", min=0, metavar="N", help="The detection to explain, in the order of predict; 0 first."),
    ] = None,
    layer: Annotated[
        str | None, Option(metavar="NAME", help="Without an image: the layer to show, as describe names it.")
    ] = None,
    data: Annotated[str | None, Option(help="Without an image: other data than the run's own.")] = None,
    split: Annotated[str | None, Option(help="Without an image: train, val or test.")] = None,
    n: Annotated[int | None, Option("--n", "-n", min=1, help="Without an image: images at most; default 500.")] = None,
    out: Annotated[str | None, Option(help="The folder to write; default RUN/explanation.")] = None,
    no_controls: Annotated[
        bool, Option("--no-controls", help="The maps alone: without random networks beside them.")
    ] = False,
    all_controls: Annotated[
        bool,
        Option("--all-controls", help="Five stages of random weights, deletion and insertion: several times as long."),
    ] = False,
    model: OwnModel = None,
    device: Device = "auto",
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Show which pixels a prediction depends on: heat maps with their controls, as a page, a sheet and arrays. Without an
    image: what the network has learned to see."""

    def work(console: Console) -> Answer:
        if no_controls and all_controls:
            raise UsageError("--no-controls and --all-controls exclude each other", "leave one of them out")
        with doing(console, f"explaining {run}"):
            from sightline import api

            controls: Level = "none" if no_controls else "full" if all_controls else "quick"
            result = api.explain(
                run, images or None, method=method, target=target, object=object, layer=layer, data=data, split=split, n=n,
                out=out, controls=controls, device=device, model=model, allow_network=allow_network, console=console,
            )  # fmt: skip
        facts = result.to_json()
        if not images:
            return Answer(facts, _features_text)
        return Answer(facts, _text, exit=3 if facts["failed"] == facts["n"] else 0)

    answer(work, json=json, level=verbose - quiet)


def _features_text(result: Mapping[str, Any]) -> str:
    """What was left out and why, what did not come out as it should, and where the page is."""
    lines = []
    for name, facts in result["methods"].items():
        if "refused" in facts:
            lines.append(f"{name} is left out: {facts['refused']}")
        else:
            lines += facts["warnings"]
    return "\n".join(map(printable, [*lines, result["page"]]))


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
    for name, facts in result["sanity"].items():
        if facts["verdict"] == "ignores the head":
            lines.append(f"{name} stays the same when the head is random: do not read it as a reason for the answer")
    return "\n".join(map(printable, [*lines, result["page"]]))
