"""The command `tune`, and what other commands say of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from typer import Argument, Option

from sightline import api
from sightline.cli.answering import Answer, answer
from sightline.cli.options import AllowNetwork, Json, Quiet, Verbose
from sightline.cli.start import reading
from sightline.cli.tables import table
from sightline.cli.wording import evaluation_text
from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.storage.text import printable

TUNE_EXAMPLES = (
    "tune photos/",
    "tune photos/ optim.lr=1e-4..1e-1:log fit.batch=16,32,64 --trials 40",
    "tune mnist model.name=lenet5,mlp --epochs 2 --control --out runs/which",
)
_SHOWN = 10  # trials in the terminal


def tune(  # noqa: PLR0913 - options are what a command line is for
    what: Annotated[
        str, Argument(metavar="WHAT", help="A built-in data set or recipe, a path or an address.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        Argument(metavar="[KEY=VALUE]...", help="Recipe keys: one value, a span 1e-4..1e-1:log, or choices 16,32,64."),
    ] = None,
    trials: Annotated[int, Option(help="Trainings of the search.")] = 20,
    model: Annotated[str | None, Option("-m", "--model", help="Their network; default: by the data.")] = None,
    epochs: Annotated[float | None, Option(help="Epochs of each; default: as a training.")] = None,
    sampler: Annotated[str, Option(help="tpe, which learns from earlier trials, or random.")] = "tpe",
    prune: Annotated[str, Option(help="Stop trials that are behind: none, halving or percentile.")] = "none",
    control: Annotated[bool, Option("--control", help="A random search of equal cost beside it.")] = False,
    repeats: Annotated[int, Option(help="Seeds with which the best three are trained again; 0: not.")] = 3,
    seed: Annotated[int, Option(min=0, help="The seed of the search; trial i trains with seed + i.")] = 0,
    storage: Annotated[
        str | None, Option(metavar="URL", help="A database that machines share; default: a file in the study's folder.")
    ] = None,
    lr_find: Annotated[
        bool, Option("--lr-find", help="No search: one short training that raises the rate until the loss explodes.")
    ] = False,
    out: Annotated[str | None, Option(help="The folder of the study; default runs/tune-DATA.")] = None,
    device: Annotated[str | None, Option(help="auto, cpu, cuda, mps, or a GPU by its number: 0, cuda:1.")] = None,
    allow_network: AllowNetwork = False,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Search recipe keys for the best validation result, and say how much of the gain is the seed's."""

    def work(console: Console) -> Answer:
        if lr_find:
            return _rates(
                console, what, overrides or (), model=model, device=device, out=out, allow_network=allow_network
            )
        with reading(console, what, "tuning on"):
            study = api.tune(
                what, overrides or (), trials=trials, model=model, epochs=epochs, sampler=sampler, prune=prune,  # type: ignore[arg-type]
                control=control, repeats=repeats, seed=seed, storage=storage, out=out, device=device,
                allow_network=allow_network, console=console,
            )  # fmt: skip
        return Answer(study.to_json(), _text)

    answer(work, json=json, level=verbose - quiet)


def _rates(console: Console, what: str, overrides: Sequence[str], **options: Any) -> Answer:
    """The range test of learning rates."""
    from sightline.verbs.studies.rate_range import rate_range

    with reading(console, what, "raising the learning rate on"):
        found = rate_range(what, overrides, console=console, **options)
    return Answer(found, _rates_text)


def _rates_text(found: Mapping[str, Any]) -> str:
    if found["suggestion"] is None:
        return f"the loss never falls; {printable(found['page'])}"
    return (
        f"the loss falls fastest at optim.lr={found['suggestion']:.2g} (default {found['default']:.2g}); "
        f"{printable(found['page'])}"
    )


def _text(result: Mapping[str, Any]) -> str:
    """The verdict and the best trials."""
    done = [one for one in result["trials"] if one["value"] is not None and one["state"] == "complete"]
    done.sort(key=lambda one: one["value"] if result["lower"] else -one["value"])
    keys = list(result["space"])
    rows: list[tuple[Any, ...]] = [("trial", f"val {result['metric']}", *keys)]
    rows += [
        (one["number"], f"{one['value']:.4f}", *(printable(str(one["values"].get(key, ""))) for key in keys))
        for one in done[:_SHOWN]
    ]
    place = printable(result["study"])
    end = f"{place}/study.html" if result["state"] == "finished" else f"{place} is not finished"
    return "\n".join([printable(result["verdict"]), *(["", table(rows), ""] if done else []), end])


def study_of(console: Console, what: str | None, keys: list[str], *, refused: bool, **options: Any) -> Answer:
    """The recipe on folds, or with several seeds."""
    if what is None or refused:
        raise UsageError(
            "--folds and --seeds start a study of their own", "name the data, without --resume and --smoke"
        )
    with reading(console, what, "training on"):
        study = api.cross_validate(what, keys, console=console, **options)
    return Answer(study.to_json(), lambda result: printable(f"{result['study']}: {result['verdict']}"))


def evaluated_study(
    run: str, data: str | None, split: str | None, device: str, console: Console, *, refused: bool
) -> Answer:
    """A study's mean metrics with intervals, of its own splits or of other data."""
    from sightline.verbs.studies.judged import evaluate_study

    if refused:
        raise UsageError(
            f"{run} is a study, which has only its metrics", "leave the other options out, or name one of its runs"
        )
    return Answer(evaluate_study(run, data, split=split, device=device, console=console), evaluation_text)
