"""swap: the face of one picture in others, or moved as theirs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.drawing.figures.film import film
from sightline.drawing.png import png_bytes
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import DataError, UsageError
from sightline.kinds.catalogue import kind_of
from sightline.kinds.faces.swapping import NAME
from sightline.kinds.networks import load_task
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.rejection import Rejected
from sightline.preprocessing.signed import to_levels, to_signed
from sightline.runs.console import Console
from sightline.runs.run import Run, open_run
from sightline.sampling.marks import is_artificial, swapped_face
from sightline.sampling.poisson import poisson_blend
from sightline.sampling.warping import warped_face
from sightline.storage.files import make_folder, replace_file
from sightline.tasks.faces.landmarks import to_pixels
from sightline.tasks.faces.pipeline import swapped
from sightline.tasks.faces.swapping import FaceSwap

Method = Literal["network", "warp"]
Blend = Literal["network", "poisson", "none"]
FILM = "film.gif"
CONSENT = (
    "A swapped or moved face is a picture of a person that was never taken. Make it only with the consent of everybody in the "
    "pictures, never to deceive, and say that it is artificial wherever you show it."
)


def swap(
    run: Run | str | Path,
    source: str | Path,
    target: str | Path,
    *,
    out: str | Path,
    method: str = "network",
    blend: str | None = None,
    reenact: bool = False,
    consent: bool = False,
    device: str = "auto",
    console: Console | None = None,
) -> dict[str, Any]:
    """Put the face of `source` into `target`, a picture or a folder of pictures, with a run of task.kind=face_swap.

    method    network: re-enacted, completed and blended by the run's networks. warp: its landmarks moved to the target's, which
              needs no generator
    blend     network (default of `network`), poisson (default of `warp`) or none: pasted as it is
    reenact   write the source in the pose and with the expression of each target instead, on grey: a living portrait
    consent   needed for photographs, which is every picture whose metadata do not say that an algorithm made it

    OUT is a .png, or for a folder of targets a folder, which also gets film.gif. Pictures have the size that the run was
    trained at, and say in their metadata that they are artificial.
    """
    run, console = run if isinstance(run, Run) else open_run(run), console or Console()
    if kind_of(run).name != NAME:
        raise UsageError(
            f"{run.folder} swaps no faces: its task is {kind_of(run).name}", "train with task.kind=face_swap"
        )
    for option, value, known in (("method", method, Method), ("blend", blend, Blend)):
        if value is not None and value not in get_args(known):
            raise UsageError(f"--{option} is {value}", f"use {', '.join(get_args(known))}")
    if method == "warp" and (blend == "network" or reenact):
        raise UsageError("--method warp has no network to blend or re-enact with", "leave out --blend and --reenact")
    targets, place = _targets(Path(target)), Path(out)
    if (place.is_dir() != Path(target).is_dir() and place.exists()) or (
        Path(target).is_file() and place.suffix.lower() != ".png"
    ):
        raise UsageError(f"--out {out} does not fit", "name a .png for one target, a folder for a folder")
    _require_consent([Path(source), *targets], consent, console)
    chosen, blending = choose_device(device), blend or ("poisson" if method == "warp" else "network")
    mark = swapped_face(f"{run.folder.name} {run.identity()['recipe'][:12]}")
    with compute_threads(run.recipe.fit.threads), repeatable(chosen), torch.inference_mode():
        task = load_task(run).to(chosen)
        assert isinstance(task, FaceSwap)
        own, frames, files = _read(run, Path(source), chosen), [], []
        with console.working(f"making {len(targets):,} pictures", len(targets)) as phase:
            for number, path in enumerate(targets):
                picture = _made(task, own, _read(run, path, chosen), method, blending, reenact)
                file = place if Path(target).is_file() else place / f"{path.stem}.png"
                make_folder(file.parent)
                replace_file(file, png_bytes(picture, mark))
                frames.append(picture)
                files.append(str(file))
                phase.at(number + 1)
    facts: dict[str, Any] = {"run": str(run.folder), "pictures": files, "method": method, "artificial": True}
    if not reenact:
        facts["blend"] = blending
    if Path(target).is_dir():
        replace_file(
            place / FILM, film(np.stack(frames), comment="; ".join(f"{key}: {value}" for key, value in mark.items()))
        )
        facts["film"] = str(place / FILM)
    console.say(f"{len(files):,} artificial pictures, {files[0]} first")
    return facts


def _made(task: FaceSwap, source: Tensor, target: Tensor, method: str, blend: str, reenact: bool) -> np.ndarray:
    """The picture (h, w, 3) uint8; source and target (1, 3, h, w) in [-1, 1]."""
    if reenact:
        return _picture(task.moved(source, target))
    if method == "warp":
        height, width = target.shape[2:]
        points = [
            to_pixels(task.landmarks(x).float(), height, width)[0, :, :2].cpu().double().numpy()
            for x in (source, target)
        ]
        image, region = warped_face(_picture(source), *points)
    else:
        made = swapped(task, source, target, task.steps)
        if blend == "network":
            return _picture(made.blended)
        image, region = _picture(made.completed).astype(np.float64), made.region[0].cpu().numpy()
    whole = _picture(target)
    if blend == "poisson":
        joined = poisson_blend(image, whole, region)
    else:
        joined = np.where(region[..., None], image, whole)
    return np.rint(joined).clip(0, 255).astype(np.uint8)


def _picture(signed: Tensor) -> np.ndarray:
    return to_levels(signed[0]).permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def _targets(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(p for p in path.iterdir() if suffix(p.name) in IMAGE_SUFFIXES) if path.is_dir() else []
    if not found:
        raise UsageError(f"{path} is no picture and no folder of pictures", "name one")
    return found


def _read(run: Run, path: Path, device: str) -> Tensor:
    """(1, 3, h, w) in [-1, 1], as the run's networks see it."""
    try:
        pixels = decode(path, channels=3).pixels
    except Rejected as error:
        raise DataError(f"{path} cannot be read: {error.detail}", "replace it") from error
    image = np.ascontiguousarray(run.preprocessing.geometry.apply(pixels)[0])
    return to_signed(torch.from_numpy(image).permute(2, 0, 1)[None]).to(device)


def _require_consent(paths: list[Path], consent: bool, console: Console) -> None:
    """UsageError for a photograph without consent; with it, the notice is printed all the same."""
    if (photograph := next((path for path in paths if not _marked(path)), None)) is None:
        return
    if not consent:
        raise UsageError(
            f"{photograph} may be a photograph: its metadata do not say that an algorithm made it. {CONSENT}",
            "add --consent if they have agreed",
        )
    console.warn(CONSENT)


def _marked(path: Path) -> bool:
    with suppress(OSError, SyntaxError, ValueError), Image.open(path) as image:
        return is_artificial(image.info)
    return False
