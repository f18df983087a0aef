"""The style of one picture with the content of another: both losses fall, and statistics become those of the style."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import sightline
from sightline.errors import DataError, UsageError
from sightline.losses.style import adain, gram, statistics_loss
from sightline.models.generative.style import AdainDecoder
from sightline.sampling.marks import is_artificial, rendered
from sightline.sampling.style import stylised

from . import tiny_style as tiny


class _Layers(nn.Module):
    """Random filters at two sizes: the style of a picture is in their Gram matrices, trained or not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Sequence[Tensor]:
        first = self.one(x / 255).relu()
        return first, self.two(first).relu()


def _pictures() -> tuple[Tensor, Tensor]:
    """A bright square on grey, and stripes of two colours across each other."""
    content = torch.full((3, 24, 24), 90, dtype=torch.uint8)
    content[:, 6:18, 6:18] = 220
    style = torch.full((3, 24, 24), 40, dtype=torch.uint8)
    style[0, ::3], style[1, :, ::5] = 200, 160
    return content, style


def test_both_losses_fall_by_four_fifths_and_the_result_is_a_function_of_the_seed() -> None:
    content, style = _pictures()
    made = stylised(_Layers(), content, style, steps=100)
    assert made.image.shape == content.shape and made.image.dtype == torch.uint8
    assert made.content <= 0.2 and made.style <= 0.2, (made.content, made.style)
    again = stylised(_Layers(), content, style, steps=100)
    assert torch.equal(made.image, again.image)
    assert not torch.equal(made.image, stylised(_Layers(), content, style, steps=100, seed=1).image)


def test_without_style_the_content_comes_back() -> None:
    content, style = _pictures()
    made = stylised(_Layers(), content, style, weight=0.0, steps=100, content_layer=0)
    assert made.content < 0.05 < made.style, (made.content, made.style)


def test_a_gram_matrix_knows_no_places() -> None:
    feature = torch.randn(2, 5, 4, 6)
    assert torch.allclose(gram(feature), gram(feature.flip(3).roll(1, 2)), atol=1e-6)
    assert torch.allclose(gram(feature)[1, 2, 3], (feature[1, 2] * feature[1, 3]).mean(), atol=1e-6)


def test_adaptive_norm_gives_the_statistics_of_the_style() -> None:
    content, style = torch.randn(2, 3, 8, 8), 3 + 2 * torch.randn(2, 3, 5, 9)
    made = adain(content, style)
    assert torch.allclose(made.mean((2, 3)), style.mean((2, 3)), atol=1e-4)
    assert torch.allclose(made.std((2, 3), correction=0), style.std((2, 3), correction=0), atol=1e-3)
    assert torch.allclose(adain(content, content), content, atol=1e-3), "its own style changes nothing"


def test_what_makes_no_picture_is_an_error() -> None:
    content, style = _pictures()
    with pytest.raises(UsageError, match="steps=0"):
        stylised(_Layers(), content, style, steps=0)
    with pytest.raises(UsageError, match="3 channels and the style 1"):
        stylised(_Layers(), content, style[:1])


def test_the_statistics_loss_is_zero_for_what_adaptive_norm_makes_only() -> None:
    content, style = torch.randn(2, 3, 8, 8), 3 + 2 * torch.randn(2, 3, 5, 9)
    assert float(statistics_loss(adain(content, style), style).max()) < 1e-4
    assert float(statistics_loss(content, style).min()) > 1


def test_the_decoder_doubles_as_often_as_the_features_were_halved() -> None:
    for stride in (2, 4, 8):
        assert AdainDecoder(5, stride, base=2)(torch.randn(1, 5, 4, 6)).shape == (1, 3, 4 * stride, 6 * stride)
    with pytest.raises(UsageError, match="stride 3"):
        AdainDecoder(5, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("style")


@pytest.fixture(scope="module")
def fixed(folder: Path) -> sightline.Run:
    return tiny.train(folder, "task.method=feedforward", f"task.style={tiny.styles(folder) / '0.png'}", out="fixed")


@pytest.fixture(scope="module")
def any_style(folder: Path) -> sightline.Run:
    return tiny.train(folder, "task.method=adain", f"task.style={tiny.styles(folder)}", out="any")


def test_a_network_for_one_style_through_its_verbs(fixed: sightline.Run, folder: Path, tmp_path: Path) -> None:
    metrics = sightline.evaluate(fixed).judgement.metrics
    assert 0 < metrics["content_left"] < 2 and metrics["style_left"] > 0 and metrics["style_unchanged"] > 0
    assert metrics["loss"] == pytest.approx(metrics["content_left"] + metrics["style_left"])
    picture = folder / "content/00.png"
    (row,) = sightline.predict(fixed, picture, out=tmp_path / "made", draw=tmp_path / "drawn").rows
    with Image.open(row["picture"]) as made:
        assert is_artificial(made.info) and made.size == (tiny.SIDE, tiny.SIDE)
    with pytest.raises(UsageError, match="knows the style that it was trained for"):
        sightline.stylise(picture, tiny.styles(folder) / "1.png", out=tmp_path / "a.png", run=fixed)


def test_a_decoder_takes_any_style_and_the_run_keeps_its_own(
    any_style: sightline.Run, folder: Path, tmp_path: Path
) -> None:
    picture = folder / "content/00.png"
    made = []
    for number in range(2):
        out = tmp_path / f"{number}.png"
        sightline.stylise(picture, tiny.styles(folder) / f"{number}.png", out=out, run=any_style)
        with Image.open(out) as image:
            assert is_artificial(image.info)
            made.append(np.asarray(image).astype(int))
    assert not np.array_equal(*made), "another style, another picture"
    assert any_style.recipe.task.pictures == 2
    moved = folder / "styles"
    moved.rename(folder / "elsewhere")
    try:
        (row,) = sightline.predict(any_style, picture, out=tmp_path / "own").rows
    finally:
        (folder / "elsewhere").rename(moved)
    with Image.open(row["picture"]) as image:
        assert np.array_equal(np.asarray(image), made[0]), "without the folder the run still has its first style"


def test_a_training_of_style_that_was_killed_ends_as_if_left_alone(folder: Path, any_style: sightline.Run) -> None:
    out = folder / "killed"
    keys = (
        *tiny.KEYS,
        f"task.feature_weights={tiny.weights(folder)}",
        "task.method=adain",
        f"task.style={tiny.styles(folder)}",
    )
    command = [
        sys.executable,
        "-m",
        "tests.generation.tiny_style",
        str(tiny.contents(folder)),
        str(out),
        "4",
        "transfer",
    ]
    done = subprocess.run([*command, *keys], capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    resumed = sightline.train(resume=out)
    for name in ("transfer", "features"):
        one, other = ((r.folder / f"model/{name}.safetensors").read_bytes() for r in (any_style, resumed))
        assert one == other, name


def test_optimisation_from_the_verb(folder: Path, tmp_path: Path) -> None:
    run = sightline.train(
        "digits", ("fit.device=cpu", "input.channels=3"), model="resnet8", out=tmp_path / "run", smoke=True
    )
    one, other = folder / "content/00.png", tiny.styles(folder) / "0.png"
    made = sightline.stylise(one, other, out=tmp_path / "a.png", features=str(run.folder), size=32, steps=3)
    assert 0 < made["content_left"] < 1 and made["style_left"] < 1 and made["artificial"]
    for options, match in (
        ({"out": "a.jpg"}, "is no .png"), ({"steps": 0}, "steps=0"), ({"size": 8}, "--size is 8"),
        ({"run": run}, "is a run of"), ({"run": run, "weight": 1.0}, "--weight has no effect"),
    ):  # fmt: skip
        usual = {"out": tmp_path / "b.png"} | ({} if "run" in options else {"features": str(run.folder)})
        with pytest.raises(UsageError, match=match):
            sightline.stylise(one, other, **(usual | options))  # type: ignore[arg-type]
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match="cannot be read"):
        sightline.stylise(one, tmp_path / "text.png", out=tmp_path / "b.png", features=str(run.folder))


def test_a_style_that_cannot_be_learned_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    style = f"task.style={tiny.styles(folder)}"
    for keys, match in (
        ((), "needs a style"), ((f"task.style={tmp_path / 'empty'}",), "has no pictures"),
        ((style, "task.feature_weights=none.pth"), "is no file"), ((style, "model.name=adain_decoder"), "does not fit"),
        ((style, "model.options.wide=3"), "no option"),
    ):  # fmt: skip
        with pytest.raises((UsageError, DataError), match=match):
            tiny.train(folder, *keys, out="refused")
    assert not is_artificial({}) and is_artificial(rendered())
