"""The command `export`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from sightline.runs.console import Console

from .answering import Answer, answer
from .options import Json, OwnModel, Quiet, RunOrModel, Verbose
from .wording import export_text

EXPORT_EXAMPLES = (
    "export runs/photos",
    "export runs/photos --to openvino --precision bf16",
    "export runs/photos --to html --allow-network",
    "predict runs/photos/exports/onnx-fp32 new/",
)


def export(
    run: RunOrModel,
    to: Annotated[
        str, Option(help="onnx, openvino, torch (.pt2), or html: ONNX with a page that predicts in a browser.")
    ] = "onnx",
    precision: Annotated[str, Option(help="fp32; bf16 with openvino; int8.")] = "fp32",
    out: Annotated[str | None, Option(help="The folder to write; default RUN/exports/<to>-<precision>.")] = None,
    web_runtime: Annotated[
        str | None, Option(metavar="FOLDER", help="The unpacked npm package onnxruntime-web, for html.")
    ] = None,
    allow_network: Annotated[bool, Option("--allow-network", help="Fetch that package if it is not cached.")] = False,
    model: OwnModel = None,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Write a run's networks as files for other programs, if these predict what the run predicts."""

    def work(console: Console) -> Answer:
        from sightline import api

        result = api.export(
            run, to=to, precision=precision, out=out, web_runtime=web_runtime, allow_network=allow_network,
            model=model, console=console,
        )  # fmt: skip
        return Answer(result, export_text)

    answer(work, json=json, level=verbose - quiet)
