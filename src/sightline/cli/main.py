"""The command line: a thin layer over `api`.

stdout carries the answer (with --json one object, as its last line), stderr everything else. A verb prints its first line
before it imports torch, which takes seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option
from typer.core import TyperGroup

from sightline import api
from sightline.engine.signals import raise_on_terminate
from sightline.runs.console import Console
from sightline.storage.reading import reason_of
from sightline.storage.text import printable
from sightline.version import __version__

from .answering import Answer, answer, failed
from .auditing import DATA_EXAMPLES, data
from .converting import CONVERT_EXAMPLES, convert
from .exporting import EXPORT_EXAMPLES, export
from .generating.pictures import FACES_EXAMPLES, STYLISE_EXAMPLES, SWAP_EXAMPLES, faces, stylise, swap
from .generating.sampling import SAMPLE_EXAMPLES, sample
from .hints import empty_value, hint_for
from .hub import app as hub
from .inspection.attacking import ATTACK_EXAMPLES, attack
from .inspection.checking import DOCTOR_EXAMPLES, VERIFY_EXAMPLES, doctor, verify
from .inspection.comparing import COMPARE_EXAMPLES, compare
from .inspection.explaining import EXPLAIN_EXAMPLES, explain
from .inspection.label_errors import LABEL_ERRORS_EXAMPLES, label_errors
from .inspection.tuning import TUNE_EXAMPLES, evaluated_study, study_of, tune
from .laboratory import LAB_EXAMPLES, lab
from .options import AllowNetwork, Device, Json, OwnModel, Quiet, RunFolder, RunOrModel, Verbose
from .predicting import PREDICT_EXAMPLES, PREDICT_EXITS, predict
from .process import leave, prepare_process, prepare_streams
from .serving import APP_EXAMPLES, SERVE_EXAMPLES, serve, show_app
from .start import doing, reading
from .wording import describe_text, evaluation_text, models_text, summary_text


class _Verbs(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if complaint := empty_value(args):
            ctx.fail(complaint)
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="sightline",
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _examples(*lines: str) -> str:
    r"""The end of a verb's help; \b tells the formatter not to join the lines."""
    return "\n".join(("\b", "Examples:", *(f"  sightline {line}" for line in lines)))


def _version(show: bool | None) -> None:
    if show:
        print(__version__)
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool | None, Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    """Train, measure and use vision models. Start with: sightline train digits"""


@app.command(
    epilog=_examples(
        "train digits",
        "train photos/ --epochs 20 --out runs/photos",
        "train photos/ -m resnet18 input.size=128 optim.lr=0.01",
        "train --resume runs/photos",
        "train photos/ --folds 5 --group patient",
    )
)
def train(  # noqa: PLR0913 - options are what a command line is for
    what: Annotated[
        str | None,
        Argument(metavar="[WHAT]", help="A built-in data set or recipe, a path or an address."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        Argument(metavar="[KEY=VALUE]...", help="Recipe keys, such as input.size=128 (see docs/defaults.md)."),
    ] = None,
    model: Annotated[
        str | None, Option("-m", "--model", help="A name from `sightline models`, or MODULE:NAME of your own.")
    ] = None,
    epochs: Annotated[float | None, Option(help="Passes over the training images (fit.epochs).")] = None,
    batch: Annotated[int | None, Option(help="Images per step (fit.batch).")] = None,
    lr: Annotated[float | None, Option(help="The peak learning rate (optim.lr).")] = None,
    seed: Annotated[int | None, Option(min=0, help="The seed of all random numbers (seed); default 0.")] = None,
    out: Annotated[str | None, Option(help="The folder for the run; default runs/<data>-<model>.")] = None,
    device: Annotated[
        str | None, Option(help="auto, cpu, cuda, mps, or a GPU by its number: 0, cuda:1 (fit.device).")
    ] = None,
    precision: Annotated[str | None, Option(help="auto, fp32 or bf16 (fit.precision).")] = None,
    folds: Annotated[
        int | None, Option(help="Train on all folds but one, in turn: a study.", show_default=False)
    ] = None,
    seeds: Annotated[int | None, Option(help="Train with so many seeds: a study.", show_default=False)] = None,
    group: Annotated[
        str | None, Option(metavar="COLUMN", help="Equal values of it stay on one side of a split (data.group).")
    ] = None,
    resume: Annotated[str | None, Option(metavar="RUN", help="Resume an unfinished run.")] = None,
    smoke: Annotated[
        bool, Option("--smoke", help="A rehearsal: every stage, on 64 images a split and 2 steps.")
    ] = False,
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train a network on your images. The run folder holds the model, its metrics and a report."""

    def work(console: Console) -> Answer:
        keys = [*(overrides or ()), *([] if group is None else [f"data.group={group}"])]
        if folds is not None or seeds is not None:
            return study_of(console, what, keys, folds=folds, seeds=seeds, model=model, epochs=epochs, batch=batch, lr=lr,
                          seed=seed, out=out, device=device, precision=precision, allow_network=allow_network,
                          refused=resume is not None or smoke)  # fmt: skip
        with doing(console, f"resuming {resume}") if what is None else reading(console, what, "training on"):
            run = api.train(
                what, keys, model=model, epochs=epochs, batch=batch, lr=lr, seed=seed, out=out,
                device=device, precision=precision, resume=resume, smoke=smoke, allow_network=allow_network, console=console,
            )  # fmt: skip
        return Answer(run.summary(), summary_text)

    answer(work, json=json, level=verbose - quiet)


@app.command(
    epilog=_examples(
        "evaluate runs/photos", "evaluate runs/photos --split val", "evaluate runs/photos other_photos/ --json"
    )
)
def evaluate(
    run: RunOrModel,
    data: Annotated[str | None, Argument(metavar="[DATA]", help="Other data with the same classes.")] = None,
    split: Annotated[str | None, Option(help="train, val or test; default test, or val without a test split.")] = None,
    model: OwnModel = None,
    tta: Annotated[bool, Option("--tta", help="Average with the mirrored image: --views flips.")] = False,
    views: Annotated[str | None, Option(help="Average over views of each image: flips or ten-crop.")] = None,
    learning_curve: Annotated[
        bool, Option("--learning-curve", help="Train on parts of the data: what would twice the images give?")
    ] = False,
    device: Device = "auto",
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Measure a run's model: all metrics with 95 % intervals, overall and for each class."""

    def work(console: Console) -> Answer:
        with doing(console, f"evaluating {run}"):
            if (Path(run) / "study.json").is_file():
                return evaluated_study(
                    run, data, split, device, console, refused=bool(tta or views or learning_curve or model)
                )
            result = api.evaluate(
                run, data, split=split, tta=views or tta, learning_curve=learning_curve, device=device,
                allow_network=allow_network, model=model, console=console,
            ).to_json()  # fmt: skip
        return Answer(result, evaluation_text)

    answer(work, json=json, level=verbose - quiet)


app.command(epilog=f"{_examples(*PREDICT_EXAMPLES)}\n\n{PREDICT_EXITS}")(predict)


app.add_typer(hub, name="hub")
app.command(epilog=_examples(*EXPLAIN_EXAMPLES))(explain)
app.command(epilog=_examples(*ATTACK_EXAMPLES))(attack)
app.command(epilog=_examples(*SAMPLE_EXAMPLES))(sample)
app.command(epilog=_examples(*STYLISE_EXAMPLES))(stylise)
app.command(epilog=_examples(*FACES_EXAMPLES))(faces)
app.command(epilog=_examples(*SWAP_EXAMPLES))(swap)
app.command(epilog=_examples(*COMPARE_EXAMPLES))(compare)
app.command(epilog=_examples(*TUNE_EXAMPLES))(tune)
app.command("label-errors", epilog=_examples(*LABEL_ERRORS_EXAMPLES))(label_errors)
app.command(epilog=_examples(*EXPORT_EXAMPLES))(export)
app.command(epilog=_examples(*CONVERT_EXAMPLES))(convert)
app.command(epilog=_examples(*SERVE_EXAMPLES))(serve)
app.command("app", epilog=_examples(*APP_EXAMPLES))(show_app)


@app.command(epilog=_examples("report runs/photos", "report runs/photos --json"))
def report(run: RunFolder, json: Json = False, verbose: Verbose = 0, quiet: Quiet = False) -> None:
    """Write the report and the model card of a run again."""

    def work(console: Console) -> Answer:
        with doing(console, f"writing the report of {run}"):
            page = str(api.report(run, console=console))
        return Answer({"run": run, "report": page}, lambda result: printable(str(result["report"])))

    answer(work, json=json, level=verbose - quiet)


@app.command(epilog=_examples("models", "models 'resnet*'"))
def models(
    pattern: Annotated[str, Argument(metavar="[PATTERN]", help="A shell pattern, such as 'resnet*'.")] = "*",
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """List the networks that can be trained."""

    def work(console: Console) -> Answer:
        from sightline.verbs.models import models as list_them

        result = list_them(pattern)
        return Answer(result, models_text)

    answer(work, json=json, level=verbose - quiet)


@app.command(
    epilog=_examples(
        "describe resnet18",
        "describe resnet18 small_images=true --input 3x32x32 --classes 10",
    )
)
def describe(
    model: Annotated[str, Argument(metavar="MODEL", help="A name from `sightline models`.")],
    options: Annotated[
        list[str] | None,
        Argument(metavar="[OPTION=VALUE]...", help="Options of the network, such as small_images=true."),
    ] = None,
    input: Annotated[str | None, Option(metavar="CxHxW", help="Input shape, such as 3x224x224.")] = None,
    classes: Annotated[int | None, Option("--classes", "--num-classes", min=1, help="Number of classes.")] = None,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Show a network layer by layer: shapes, parameters, multiply-adds, receptive fields."""

    def work(console: Console) -> Answer:
        with doing(console, f"building {model}"):
            result = api.describe(model, options or (), input=input, classes=classes)
        return Answer(result, describe_text)

    answer(work, json=json, level=verbose - quiet)


app.command(epilog=_examples(*DATA_EXAMPLES))(data)


app.command(epilog=_examples(*VERIFY_EXAMPLES))(verify)
app.command(epilog=_examples(*DOCTOR_EXAMPLES))(doctor)
app.command(epilog=_examples(*LAB_EXAMPLES))(lab)


def run() -> None:
    """The console script."""
    prepare_streams()
    raise_on_terminate()
    try:
        prepare_process()
        app(standalone_mode=False)
        leave(0)
    except typer.Exit as error:
        leave(error.exit_code)
    except (typer.Abort, KeyboardInterrupt) as error:
        leave(getattr(error.__cause__ or error.__context__ or error, "exit_code", 130))
    except Exception as error:  # the parser's own errors: its words, our hint and exit code
        if isinstance(error, OSError):
            failed("resource", 6, f"the output could not be written: {reason_of(error)}", "", json=False)
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            sys.exit(2)
        message, words = error.format_message(), sys.argv[1:]
        failed("usage", 2, message, hint_for(message, words), json="--json" in words)
