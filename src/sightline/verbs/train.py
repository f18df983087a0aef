"""train: images in; a run folder with a trained, measured, reported model out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sightline.engine.devices import choose_device, compute_threads, deep_graphs, repeatable
from sightline.errors import DivergedError, SightlineError, Stopped, UsageError
from sightline.kinds.catalogue import kind_named
from sightline.kinds.opening import choose_kind, draft, open_dataset, require_there, usual_kind
from sightline.recipes.arguments import require_options
from sightline.recipes.recipe import Draft
from sightline.runs.console import Console
from sightline.runs.folder import as_begun, begin, place, require_free
from sightline.runs.run import Run, open_run
from sightline.storage.locks import locked
from sightline.training.loop import run_training
from sightline.training.prepare import prepare, resolve, start_of


def train(  # noqa: PLR0913 - the commonest recipe keys by name, as on the command line
    what: str | Path | None = None,
    overrides: str | Sequence[str] | Mapping[str, Any] = (),
    *,
    model: str | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    out: str | Path | None = None,
    resume: Run | str | Path | None = None,
    smoke: bool = False,
    console: Console | None = None,
) -> Run:
    """Train on WHAT (a built-in data set, a recipe, a folder or file of your own) and return the finished run.

    `overrides` are recipe keys (`["fit.epochs=5"]` or `{"fit.epochs": 5}`); the named arguments are the commonest of
    them. `out` is the run folder; `resume` goes on with an unfinished one. Raises UsageError, DataError, DivergedError,
    ResourceError, and Stopped after a signal, when everything so far is committed.
    """
    console = console or Console()
    flags = {
        "model.name": model, "fit.epochs": epochs, "fit.batch": batch, "optim.lr": lr, "seed": seed,
        "fit.device": device, "fit.precision": precision,
    }  # fmt: skip
    given, out, smoke = _request(what, overrides, flags, out, resume, smoke)
    if given.task is None or kind_named(given.task.kind).output is not None:
        require_options(given)
    require_free(out)
    data = open_dataset(given, console)
    kind = choose_kind(given, data.audit.source)
    recipe = resolve(as_begun(given, out), kind, data)
    start = start_of(recipe, kind, data, out, console)
    run = place(recipe, data, out, smoke=smoke)
    device = choose_device(recipe.fit.device)
    compiling = deep_graphs(recipe.fit.compile)
    with compute_threads(recipe.fit.threads), repeatable(device), compiling, locked(run.folder):
        begin(run, recipe, data, usual_kind(data.audit.source).name, smoke=smoke, console=console)
        console.keep(run.folder / "log.txt")
        with _failure_recorded(run, console):
            run_training(prepare(run, recipe, kind, data, start, console, smoke=bool(run.status["smoke"])))
    return run


@contextmanager
def _failure_recorded(run: Run, console: Console) -> Iterator[None]:
    """The kind of error that ends a training goes into run.json, its words, which may name paths, into the log."""
    try:
        yield
    except Stopped:
        raise
    except Exception as error:
        with suppress(SightlineError):  # a full disk, which may be the error itself
            code = error.code if isinstance(error, SightlineError) else type(error).__name__
            diverged = isinstance(error, DivergedError)
            run.note(status="diverged" if diverged else "failed", stopped=str(error) if diverged else code)
            if console.log is not None:
                console.log.append(f"{error}\n")
        raise


def _request(
    what: str | Path | None,
    overrides: str | Sequence[str] | Mapping[str, Any],
    flags: Mapping[str, Any],
    out: str | Path | None,
    resume: Run | str | Path | None,
    smoke: bool,
) -> tuple[Draft, str | Path | None, bool]:
    """Recipe, folder and smoke as the user asked for them, or as the run to resume has them."""
    if resume is None:
        if what is None:
            raise UsageError("nothing to train on", "for example: sightline train digits")
        return draft(what, overrides, flags), out, smoke
    if what is not None or overrides or out is not None or any(v is not None for v in flags.values()):
        raise UsageError("--resume takes a run and nothing else", "its recipe is in the run")
    run = resume if isinstance(resume, Run) else open_run(resume)
    if run.finished:
        raise UsageError(f"{run.folder} is finished", "train again with another --out")
    require_there(run.recipe, "put them back")
    return run.recipe, run.folder, bool(run.status.get("smoke"))
