"""The command line: the verbs of `api`, and nothing that they do not know.

stdout carries the answer (with --json one object, as its last line), stderr what happened on the way. Torch is loaded
when a verb runs, not when help is asked for.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer import Argument, Option

from sightline.runs.console import Console
from sightline.storage.text import shown
from sightline.version import __version__

from .answering import Answer, answer, failed
from .process import prepare_process
from .wording import (
    checks_text,
    data_text,
    describe_text,
    evaluation_text,
    models_text,
    predictions_text,
    summary_text,
)

app = typer.Typer(
    name="sightline",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, Option("--json", help="One JSON object as the last line of stdout.")]
Verbose = Annotated[
    int, Option("-v", "--verbose", count=True, help="Say more, such as every problem of the data.", show_default=False)
]
Quiet = Annotated[bool, Option("-q", "--quiet", help="Say only what matters.")]
RunFolder = Annotated[str, Argument(metavar="RUN", help="A run's folder.", show_default=False)]
Device = Annotated[str, Option(help="auto, cpu, cuda or mps.")]


def _version(asked: bool | None) -> None:
    if asked:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _root(version: Annotated[bool | None, Option("--version", callback=_version, is_eager=True)] = None) -> None:
    """Images in; a trained, measured, documented model out."""


@app.command()
def train(  # noqa: PLR0913 - options are what a command line is for
    what: Annotated[str | None, Argument(metavar="[WHAT]", help="A built-in data set or recipe, or a path.")] = None,
    overrides: Annotated[
        list[str] | None, Argument(metavar="[KEY=VALUE]...", help="Recipe keys, such as fit.clip=1: docs/defaults.md.")
    ] = None,
    model: Annotated[str | None, Option("-m", "--model", help="See `sightline models`.")] = None,
    epochs: Annotated[float | None, Option(help="Passes over the training images (fit.epochs).")] = None,
    batch: Annotated[int | None, Option(help="Images of one step (fit.batch).")] = None,
    lr: Annotated[float | None, Option(help="The highest learning rate (optim.lr).")] = None,
    seed: Annotated[int | None, Option(help="Of every random draw (seed); 0 where left out.")] = None,
    out: Annotated[str | None, Option(help="The run's folder; default runs/<data>-<model>.")] = None,
    device: Annotated[str | None, Option(help="auto, cpu, cuda or mps (fit.device).")] = None,
    precision: Annotated[str | None, Option(help="auto, fp32 or bf16 (fit.precision).")] = None,
    resume: Annotated[str | None, Option(metavar="RUN", help="Go on with an unfinished run.")] = None,
    smoke: Annotated[bool, Option("--smoke", help="64 images, 2 steps: every stage and file in a minute.")] = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train on your images: a run folder with a measured model and a report comes out."""

    def work(console: Console) -> Answer:
        from sightline import api

        run = api.train(
            what, overrides or (), model=model, epochs=epochs, batch=batch, lr=lr, seed=seed, out=out, device=device,
            precision=precision, resume=resume, smoke=smoke, console=console,
        )  # fmt: skip
        return Answer(run.summary(), summary_text)

    answer(work, json=json, level=verbose - quiet)


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[str | None, Argument(metavar="[DATA]", help="Other data with the same classes.")] = None,
    split: Annotated[str | None, Option(help="train, val or test; else test, or val where there is none.")] = None,
    tta: Annotated[bool, Option("--tta", help="Classes: average with the prediction for the mirrored image.")] = False,
    device: Device = "auto",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Measure a run's model: every metric with its interval, class by class."""

    def work(console: Console) -> Answer:
        from sightline import api

        found = api.evaluate(run, data, split=split, tta=tta, device=device, console=console).to_json()
        return Answer(found, evaluation_text)

    answer(work, json=json, level=verbose - quiet)


@app.command()
def predict(
    run: RunFolder,
    paths: Annotated[list[str], Argument(metavar="PATH...", help="Images, folders of them, .txt lists.")],
    out: Annotated[str | None, Option(help="Write .csv or .jsonl; for masks a folder, or .jsonl.")] = None,
    device: Device = "auto",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Say what is in images: classes, masks, objects. One that cannot be read is named, the others go on."""

    def work(console: Console) -> Answer:
        from sightline import api

        found = api.predict(run, paths, out=out, device=device, console=console)
        text = predictions_text(found.table())
        return Answer(found.to_json(), lambda _: text, exit=3 if found.failed == len(found.rows) else 0)

    answer(work, json=json, level=verbose - quiet)


@app.command()
def report(run: RunFolder, json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Write the run's report and model card anew."""

    def work(console: Console) -> Answer:
        from sightline import api

        page = str(api.report(run, console=console))
        return Answer({"run": run, "report": page}, lambda said: shown(str(said["report"])))

    answer(work, json=json, level=verbose - quiet)


@app.command()
def models(
    pattern: Annotated[str, Argument(metavar="[PATTERN]", help="For example 'resnet*'.")] = "*",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """List the networks."""

    def work(console: Console) -> Answer:
        from sightline.verbs.models import models as list_them

        found = list_them(pattern)
        return Answer(found, models_text)

    answer(work, json=json, level=verbose - quiet)


@app.command()
def describe(
    model: Annotated[str, Argument(metavar="MODEL", help="See `sightline models`.")],
    options: Annotated[
        list[str] | None, Argument(metavar="[OPTION=VALUE]...", help="Of the network, such as small_images=true.")
    ] = None,
    input: Annotated[str | None, Option(metavar="CxHxW", help="For example 3x224x224.")] = None,
    classes: Annotated[int | None, Option(help="Outputs of the head.")] = None,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Show a network layer by layer: shapes, parameters, multiply-adds, receptive fields."""

    def work(console: Console) -> Answer:
        from sightline import api

        found = api.describe(model, options or (), input=input, classes=classes)
        return Answer(found, describe_text)

    answer(work, json=json, level=verbose - quiet)


@app.command()
def data(
    what: Annotated[str, Argument(metavar="DATA", help="A built-in data set, a folder or a file.")],
    show: Annotated[str | None, Option(metavar="FILE.png", help="Draw some of the images into a file.")] = None,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Audit a data set as training would: what it is, what is wrong with it, how it splits."""

    def work(console: Console) -> Answer:
        from sightline import api

        found = api.audit(what, show=show, console=console)
        return Answer(found, data_text)

    answer(work, json=json, level=verbose - quiet)


@app.command()
def verify(run: RunFolder, json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Hash a run's recipe, data summary, metrics, weights, predictions and checkpoints again: are they as written?"""

    def work(console: Console) -> Answer:
        from sightline import api

        return Answer(api.verify(run), lambda said: checks_text(said["files"], "file", "state"))

    answer(work, json=json, level=verbose - quiet)


@app.command()
def doctor(json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Check this machine: versions, disk, memory, device."""

    def work(console: Console) -> Answer:
        from sightline import api

        return Answer(api.doctor(), lambda said: checks_text(said["checks"], "name", "value"))

    answer(work, json=json, level=verbose - quiet)


def run() -> None:
    """The console script."""
    prepare_process()
    try:
        app(standalone_mode=False)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:  # wrong options: click's own words, our exit code
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(2)
        failed("usage", 2, error.format_message(), "", json="--json" in sys.argv[1:])
