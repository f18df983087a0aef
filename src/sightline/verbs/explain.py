"""explain: which pixels does a score depend on, and what do the network's units respond to?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from sightline.errors import UsageError, nearest
from sightline.explanation.explain import Level
from sightline.explanation.question import Choice
from sightline.kinds.pretrained import STATUS, open_run_or_model
from sightline.models.own import Builder
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.text import printable
from sightline.verbs.inspection.features import IMAGES, Features, Request, explain_features
from sightline.verbs.inspection.maps import Explanations, explain_images, weights_hash


def explain(  # noqa: PLR0913 - the options of the command line
    run: Run | str | Path,
    images: str | Path | Sequence[str | Path] | None = None,
    *,
    method: str | None = None,
    target: str | int | None = None,
    object: int | None = None,
    layer: str | None = None,
    data: Any = None,
    split: str | None = None,
    n: int | None = None,
    out: str | Path | None = None,
    controls: Level = "quick",
    device: str = "auto",
    model: str | nn.Module | Builder | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> Explanations | Features:
    """Explain the run's answer for each image: files, folders, archives, patterns, .txt lists or addresses, as `predict` takes
    them, without videos. Without images: show what the units of its network respond to.

    run       a run or its folder, or a network with published weights
    method    a name of `METHODS` (without images of `FEATURES`), several with commas between them, or "all"; a method that
              has no meaning for the network is listed with the reason. None: gradient, integrated gradients of fewer points,
              Grad-CAM and occlusion
    target    the class to explain, by name or index; default: what the network answers, or without images the most frequent
    object    for detectors, the number of the detection in `predict`'s order, 0 the surest
    layer     without images, the layer to show, by its name in `describe`; default: a handful
    data      without images, other data than the run's own to look at; `split` of them, by default test, else val
    n         without images, how many images of the split are looked at
    out       the folder to write; RUN/explanation by default
    controls  with images, "quick": each method on the network with a random head and with random weights throughout; "full":
              five stages of that, deletion and insertion; "none"

    Raises UsageError for an unknown method, class or layer, and where the only method has no meaning for the network; DataError
    where no image can be read.
    """
    run, console = run if isinstance(run, Run) else open_run_or_model(run, model), console or Console()
    if n is not None and n < 1:
        raise UsageError(f"--n is {n}", "use at least 1 image")
    index, folder = _index_of(target, run.classes), _place(run, out)
    if images is not None:
        _require_images_only(layer=layer, data=data, split=split, n=n)
        return explain_images(
            run, images, method, Choice(index, object), folder, controls=controls, device=device,
            allow_network=allow_network, console=console,
        )  # fmt: skip
    if object is not None:
        raise UsageError("--object needs an image", "add the path of an image")
    request = Request(method, layer, index, data, split, IMAGES if n is None else n)
    return explain_features(
        run, request, folder, device=device, allow_network=allow_network, console=console, weights=weights_hash(run)
    )


def _require_images_only(**options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"--{name} is for explain without an image", f"leave out --{name}, or the images")


def _index_of(target: str | int | None, classes: Sequence[str]) -> int | None:
    """The index of a class given by name, or by index where no class has that name."""
    if target is None:
        return None
    if isinstance(target, str) and target in classes:
        return list(classes).index(target)
    if str(target).isdigit() and int(target) < len(classes):
        return int(target)
    raise UsageError(f"--target {printable(str(target))} is not a class of this run", nearest(str(target), classes))


def _place(run: Run, out: str | Path | None) -> Path:
    """The folder, made. Published networks live in the cache, which is no place for results."""
    if out is None:
        out = run.folder / "explanation" if run.status.get("status") != STATUS else Path("explanation")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {printable(str(out))} is a file", "name a folder")
    return folder
