"""stylise: the content of a picture in the style of another, by optimisation or by a network that was trained for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sightline.drawing.png import png_bytes
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import UsageError
from sightline.kinds.catalogue import kind_of
from sightline.kinds.generative.style import ADAIN, NAME
from sightline.kinds.generative.style_pictures import style_pixels
from sightline.kinds.networks import load_task
from sightline.kinds.pretrained import open_run_or_model
from sightline.preprocessing.signed import to_levels, to_signed
from sightline.runs.console import Console
from sightline.runs.run import Run, open_run
from sightline.sampling.marks import translated
from sightline.sampling.style import Features, stylised
from sightline.storage.files import make_folder, replace_file
from sightline.tasks.generative.style import Style

FEATURES, WEIGHT, STEPS, SIZE = "efficientnet_lite0", 1.0, 200, 160
LAYERS, CONTENT = 4, 2  # maps whose Gram matrices make the style, and which of them makes the content
LARGEST = 4096  # pixels of a side


def stylise(
    content: str | Path,
    style: str | Path,
    *,
    out: str | Path,
    run: Run | str | Path | None = None,
    features: str | None = None,
    weight: float | None = None,
    steps: int | None = None,
    size: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> dict[str, Any]:
    """Write the picture `content` in the style of the picture `style` to OUT, a PNG that says that it is artificial.

    Without a run, by optimisation (Gatys et al. 2015): a picture whose features are those of the content and whose Gram
    matrices are those of the style. With a run of task.kind=style and task.method=adain, in one pass of its network.

    features   of optimisation: a classifier with published weights, or a run of classification (efficientnet_lite0)
    weight     of the style beside the content, 1; `steps` of L-BFGS, 200; `seed` of the noise it starts from
    size       pixels of a side; both pictures are cropped to squares (160, or as the run was trained)

    Returns what is left of both losses, where they were optimised. UsageError for options that have no effect on the run, and
    for a run that knows one style only; DataError for a file that is no picture.
    """
    console = console or Console()
    place = Path(out)
    if place.suffix.lower() != ".png":
        raise UsageError(f"--out {out} is no .png", "name a .png file: its metadata say that the picture is artificial")
    chosen = choose_device(device)
    given = {"features": features, "weight": weight, "steps": steps, "seed": seed}
    if run is not None:
        if unused := next((name for name, value in given.items() if value is not None), None):
            raise UsageError(f"--{unused} has no effect with --run", "leave one of them out")
        name, image, facts = _by_network(run, Path(content), Path(style), size, chosen)
    else:
        name = features or FEATURES
        with console.working("stylising"):
            image, facts = _by_optimisation(
                name, Path(content), Path(style), weight, steps, size or SIZE, seed or 0, chosen
            )
    make_folder(place.parent)
    picture = image.permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)
    replace_file(place, png_bytes(picture, translated(name)))
    console.say(f"picture: {place}")
    return {"picture": str(place), "with": name, "artificial": True, **facts}


def _by_optimisation(
    name: str,
    content: Path,
    style: Path,
    weight: float | None,
    steps: int | None,
    size: int,
    seed: int,
    device: str,
) -> tuple[Tensor, dict[str, Any]]:
    if not 32 <= size <= LARGEST:
        raise UsageError(f"--size is {size}", f"use 32 to {LARGEST:,} pixels")
    features = features_of(name, device)
    pictures = [style_pixels(_file(path), size, size).to(device) for path in (content, style)]
    with repeatable(device):
        made = stylised(
            features,
            *pictures,
            content_layer=CONTENT,
            weight=WEIGHT if weight is None else weight,
            steps=STEPS if steps is None else steps,
            seed=seed,
        )
    return made.image, {"content_left": made.content, "style_left": made.style}


def features_of(name: str, device: str = "cpu") -> Features:
    """The first maps of a classifier, as a function of levels. UsageError for a network that has fewer maps."""
    opened = open_run_or_model(name)
    model: Any = getattr(load_task(opened).eval().requires_grad_(False).to(device), "model", None)
    network: Any = getattr(model, "network", None)
    if not hasattr(network, "features") or len(getattr(network, "channels", ())) <= CONTENT:
        raise UsageError(f"{name} has no maps of features to compare", "use a classifier such as efficientnet_lite0")

    def features(levels: Tensor) -> list[Tensor]:
        return list(network.features(model.normalise(levels))[:LAYERS])

    return features


def _by_network(
    run: Run | str | Path, content: Path, style: Path, size: int | None, device: str
) -> tuple[str, Tensor, dict[str, Any]]:
    run = run if isinstance(run, Run) else open_run(run)
    if kind_of(run).name != NAME:
        raise UsageError(
            f"{run.folder} is a run of {kind_of(run).name}", "train with task.kind=style task.method=adain"
        )
    task = load_task(run).to(device)
    assert isinstance(task, Style)
    if task.method != ADAIN:
        raise UsageError(
            f"{run.folder} knows the style that it was trained for, no other",
            f"sightline predict {run.folder} {content} --out FOLDER, or train with task.method=adain",
        )
    height, width = (run.recipe.input.size, run.recipe.input.width) if size is None else (size, size)
    if height % 16 or width % 16 or not 32 <= height <= LARGEST:
        raise UsageError(f"--size is {size}", f"use a multiple of 16 from 32 to {LARGEST:,}")
    pictures = [style_pixels(_file(path), height, width)[None].to(device) for path in (content, style)]
    with compute_threads(run.recipe.fit.threads), repeatable(device), torch.inference_mode():
        made = task.styled(to_signed(pictures[0]), pictures[1])
    return run.folder.name, to_levels(made)[0], {}


def _file(path: Path) -> Path:
    if not path.is_file():
        raise UsageError(f"{path} is no file", "name a picture")
    return path
