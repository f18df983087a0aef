"""train: from images to a run folder with a trained model, its metrics and a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.formats.passed.sources import is_passed, name_of_data
from sightline.engine.devices import choose_device, compute_threads, deep_graphs, repeatable
from sightline.errors import DataError, DivergedError, SightlineError, Stopped, UsageError
from sightline.kinds.opening import choose_kind, draft, open_dataset, require_known_network, require_there, usual_kind
from sightline.models.own import is_own, name_of
from sightline.recipes.reading import parse_overrides
from sightline.recipes.recipe import Draft
from sightline.recipes.transforms import KEY, use_transform
from sightline.runs.console import Console
from sightline.runs.folder import begin, place, require_free, with_run_settings
from sightline.runs.run import Run, open_run
from sightline.storage.locks import locked
from sightline.tracking.opening import require_trackers
from sightline.training.loop import run_training
from sightline.training.prepare import prepare, resolve, start_of

from .run import Run as OpenRun
from .run import as_run


def train(  # noqa: PLR0913 - the commonest recipe keys by name, as on the command line
    what: Any = None,
    overrides: str | Sequence[str] | Mapping[str, Any] = (),
    *,
    model: str | nn.Module | Callable[..., nn.Module] | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    out: str | Path | None = None,
    resume: Run | str | Path | None = None,
    smoke: bool = False,
    allow_network: bool = False,
    console: Console | None = None,
) -> OpenRun:
    """Train on WHAT (a built-in data set, a recipe, a folder or file of your own) and return the finished run.

    WHAT may also be data in memory: `(images, labels)` with images (n, h, w[, c]) in uint8 or floats in 0 to 1, a torch
    `Dataset` of (image, label), `(paths, labels)`, or a mapping of splits of these (see `data.formats.passed`). To resume such
    a run in another process, pass the same data again, with `resume`.

    `overrides` are recipe keys (`["fit.epochs=5"]` or `{"fit.epochs": 5}`); the named arguments are shortcuts for common
    ones. `model` is a name, or a network of your own: `package.module:Name`, an `nn.Module`, or what builds one (see
    `models.own`). `out` is the run folder; `resume` continues an unfinished run. Raises UsageError, DataError, DivergedError,
    ResourceError, and Stopped after a signal, when everything so far is committed.
    """
    console = console or Console()
    name = None if model is None else name_of(model)
    if resume is not None and name is not None and is_own(name):
        name = None  # it is in the run's recipe; naming it again lets this process import it
    flags = {
        "model.name": name, "fit.epochs": epochs, "fit.batch": batch, "optim.lr": lr, "seed": seed,
        "fit.device": device, "fit.precision": precision,
        "data.allow_network": allow_network or None, "model.allow_network": allow_network or None,
    }  # fmt: skip
    what = None if what is None else name_of_data(what)
    given, out, smoke = _request(what, overrides, flags, out, resume, smoke)
    require_known_network(given)
    if resume is None:  # a run goes on without what has been removed since
        require_trackers(given.track)
    require_free(out)
    given = with_run_settings(given, out)
    return as_run(train_on(given, open_dataset(given, console), out, smoke=smoke, console=console))


def train_on(
    given: Draft,
    data: Dataset,
    out: str | Path | None,
    *,
    smoke: bool = False,
    console: Console,
    enough: Callable[[Mapping[str, Any]], bool] | None = None,
) -> Run:
    """Train a draft, whose settings are those of an unfinished run in `out`, on data that are already open. `enough` sees each
    row of the history; where it is true, the training ends early."""
    kind = choose_kind(given, data.audit.source)
    with console.working("building the network"):
        recipe = resolve(given, kind, data)
        start = start_of(recipe, kind, data, out, console)
    run = place(recipe, data, out, smoke=smoke)
    device = choose_device(recipe.fit.device)
    compiling = deep_graphs(recipe.fit.compile)
    with compute_threads(recipe.fit.threads), repeatable(device), compiling, locked(run.folder):
        begin(run, recipe, data, usual_kind(data.audit.source).name, smoke=smoke, console=console)
        console.keep(run.folder / "log.txt")
        with _record_failure(run, console):
            training = prepare(run, recipe, kind, data, start, console, smoke=bool(run.status["smoke"]))
            training.enough = enough or training.enough
            run_training(training)
    return run


@contextmanager
def _record_failure(run: Run, console: Console) -> Iterator[None]:
    """Record an error that ends training: its kind in run.json, its message, which may contain paths, in the log only."""
    try:
        yield
    except Stopped:
        raise
    except KeyboardInterrupt:  # before the first step, or after the last one
        with suppress(SightlineError):
            run.note(status="stopped", stopped=None)
        raise
    except Exception as error:
        with suppress(SightlineError):  # the disk may be full, which may be the error itself
            code = error.code if isinstance(error, SightlineError) else type(error).__name__
            diverged = isinstance(error, DivergedError)
            run.note(status="diverged" if diverged else "failed", stopped=str(error) if diverged else code)
            if console.log is not None:
                console.log.append(f"{error}\n")
        raise


def _request(
    what: str | None,
    overrides: str | Sequence[str] | Mapping[str, Any],
    flags: Mapping[str, Any],
    out: str | Path | None,
    resume: Run | str | Path | None,
    smoke: bool,
) -> tuple[Draft, str | Path | None, bool]:
    """Recipe, folder and smoke from the arguments, or from the run to resume."""
    if resume is None:
        if what is None:
            raise UsageError("no data to train on", "name the data, for example: sightline train digits")
        return draft(what, overrides, flags), out, smoke
    if own := parse_overrides(overrides).get(KEY) if overrides else None:  # naming it again lets this process import it
        use_transform({KEY: own})
    if (
        (what is not None and not is_passed(what))
        or (overrides and not own)
        or out is not None
        or any(v is not None for v in flags.values())
    ):
        raise UsageError("--resume cannot be combined with other settings", "leave them out: the recipe is in the run")
    run = resume if isinstance(resume, Run) else open_run(resume)
    if run.finished:
        raise UsageError(
            f"{run.folder} is already finished", "to train longer, start a new run with more --epochs and another --out"
        )
    if what is not None and what != run.recipe.data.name:
        raise DataError(f"{run.folder} was not trained on these data", "pass the same images and labels")
    require_there(run.recipe, "restore them")
    return run.recipe, run.folder, bool(run.status.get("smoke"))
