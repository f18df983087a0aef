"""The kind `diffusion`: conditions, samplers, guidance, latent codes, and that a killed training ends as any other."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.errors import UsageError
from sightline.evaluation.generation.figures import read_figure_rows
from sightline.kinds.generative.words import as_numbers, vocabulary, words_of
from sightline.losses.denoising import cosine_schedule, interpolated
from sightline.sampling.diffusion import clean, ddim, descent, guided
from sightline.sampling.flow import euler, even, heun
from sightline.tasks.generative.diffusion import Diffusion, Usual

from . import tiny_diffusion as tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diffusion")


@pytest.fixture(scope="module")
def classes(folder: Path) -> sightline.Run:
    return tiny.train(folder, out="classes")


def _bytes(run: sightline.Run) -> bytes:
    return (run.folder / "model/model.safetensors").read_bytes()


def test_an_image_is_the_same_alone_and_among_any_others(classes: sightline.Run) -> None:
    for options in ({}, {"sampler": "ddpm"}, {"guidance": 1.0}, {"steps": 2, "label": "a red bar"}):
        whole = classes.sample(33, seed=3, **options)
        for first, n in ((0, 1), (17, 1), (32, 1), (5, 20)):
            assert np.array_equal(classes.sample(n, seed=3, first=first, **options), whole[first : first + n])
    assert np.array_equal(sightline.open_run(classes.folder).sample(3, seed=3), classes.sample(3, seed=3))


def test_the_report_shows_images_into_noise_and_out_of_it(classes: sightline.Run) -> None:
    with Image.open(classes.folder / "samples/denoising.png") as strip:
        assert "Artificial" in strip.text["Description"]  # type: ignore[attr-defined]
        cells = np.asarray(strip.convert("L"), float)
    assert cells.shape == (8 * 56 + 7 * 2, 6 * 56 + 5 * 2), "four rows of five columns, four of six"
    page = (classes.folder / "report.html").read_text()
    assert all(f'id="{anchor}"' in page for anchor in ("made", "denoising", "times", "neighbours"))
    assert "Its mean loss is" in page and 0 <= classes.metrics["val"]["memorised"] <= 1
    rows = read_figure_rows(classes.folder / "predictions/val.parquet")[0]
    assert classes.metrics["val"]["loss"] == pytest.approx(rows.column("loss").mean())
    assert ((rows.column("time") >= 0) & (rows.column("time") < 1)).all()


def test_conditions_and_guidance_change_the_image(classes: sightline.Run) -> None:
    red, blue, free = (
        classes.sample(4, label=label, guidance=weight)
        for label, weight in (("a red bar", 1.0), ("a blue bar", 1.0), ("a red bar", 0.0))
    )
    assert not np.array_equal(red, blue) and not np.array_equal(red, free)
    assert np.array_equal(free, classes.sample(4, label="a blue bar", guidance=0.0)), "weight 0 ignores the condition"
    x, y = torch.tensor([1.0]), torch.tensor([0.5])
    assert guided(x, y, 3.0).item() == 2.0 and guided(x, y, 1.0) == x and guided(x, y, 0.0) == y


def test_words_reach_the_network(folder: Path) -> None:
    run = tiny.train(folder, "task.conditions=text", "task.process=flow", out="text")
    assert set(run.read_json("task.json")["words"]) == {"a", "bar", "red", "blue"}
    by_caption, by_text = run.sample(2, label="a blue bar"), run.sample(2, text="A blue bar.")
    assert np.array_equal(by_caption, by_text)
    assert not np.array_equal(by_text, run.sample(2, text="a red bar"))
    assert not np.array_equal(by_text, run.sample(2, text="bar blue a")), "the order of words counts"
    assert not np.array_equal(by_text, run.sample(2, text="a blue bar", sampler="euler"))
    for wrong, message in (("a green bar", "no word 'green'"), ("…", "has no words"), ("bar " * 9, "has 9 words")):
        with pytest.raises(UsageError, match=message):
            run.sample(1, text=wrong)


def test_texts_are_numbers_of_words() -> None:
    assert words_of("Red 3, left-of GREEN 7!") == ["red", "3", "left", "of", "green", "7"]
    known = vocabulary(["b a", "b c", "b a"])
    assert known == ["b", "a", "c"]
    assert as_numbers(["c b", "b x a b b"], known, rows=4, length=4).tolist() == [[1, 2, 0, 0], [2, 1, 3, 2]]


def test_what_does_not_fit_is_an_error(classes: sightline.Run, folder: Path) -> None:
    with pytest.raises(UsageError, match="--sampler heun does not fit"):
        classes.sample(1, sampler="heun")
    with pytest.raises(UsageError, match="--text has no effect"):
        classes.sample(1, text="a red bar")
    with pytest.raises(UsageError, match="--steps is 1001"):
        classes.sample(1, steps=1001)
    for keys, message in (
        (("task.sampler=ddim", "task.process=flow"), "task.sampler=ddim does not fit"),
        (("model.options.patch=3",), "patches of 3 do not fill 8x8"),
        (("task.autoencoder=nowhere",), "task.autoencoder=nowhere is no run"),
    ):
        with pytest.raises(UsageError, match=message):
            tiny.train(folder, *keys, out="never")
    with pytest.raises(UsageError, match="lenet5 outputs class scores"):
        tiny.train(folder, usual=(*tiny.SIDE, "task.kind=diffusion", "model.name=lenet5"), out="never")


def test_diffusion_in_the_codes_of_an_autoencoder(folder: Path) -> None:
    codes = tiny.train(folder, out="codes", usual=tiny.AUTOENCODER)
    run = tiny.train(folder, f"task.autoencoder={codes.folder}", out="latent")
    assert (run.folder / "model/autoencoder.safetensors").read_bytes() == _bytes(codes), "it learned nothing here"
    made = run.sample(20, seed=1)
    assert made.shape == (20, 8, 8, 3) and np.array_equal(made[17:18], run.sample(1, seed=1, first=17))
    codes.folder.rename(folder / "moved")
    assert np.array_equal(sightline.open_run(run.folder).sample(2, seed=1), made[:2]), "the run holds all it needs"


def test_an_autoencoder_measures_predicts_and_writes(folder: Path, tmp_path: Path) -> None:
    run = tiny.train(
        folder, "model.options.variational=true", "task.input_noise=0.1", out="vae", usual=tiny.AUTOENCODER
    )
    assert run.metrics["val"]["psnr"] > 5 and "train_divergence" in (run.folder / "history.csv").read_text()
    image = next((folder / "pictures").rglob("*.png"))
    found = sightline.predict(run, image, out=tmp_path / "out", draw=tmp_path / "drawn")
    (row,) = found.rows
    assert len(row["code"]) == 4 * 4 * 4
    with Image.open(row["reconstruction"]) as picture:
        assert picture.size == (8, 8) and picture.mode == "RGB"
    assert len(list((tmp_path / "drawn").iterdir())) == 1
    dense = tiny.train(
        folder, "model.name=autoencoder_dense", "model.options.units=16", "model.options.dropout=0.5", out="dense",
        usual=(*tiny.SIDE, "task.kind=autoencoder"),
    )  # fmt: skip
    assert len(sightline.predict(dense, image).rows[0]["code"]) == 16


def test_a_killed_training_ends_as_one_that_was_left_alone(folder: Path, classes: sightline.Run) -> None:
    out = folder / "killed"
    keys = (*tiny.DIFFUSION, "fit.epochs=1", "fit.commit_every=1")
    command = [sys.executable, "-m", "tests.generation.tiny_diffusion", str(folder / "pictures"), str(out), "3", *keys]
    assert subprocess.run(command, capture_output=True, timeout=300).returncode == -signal.SIGKILL
    resumed = sightline.train(resume=out)
    assert _bytes(resumed) == _bytes(classes)
    assert np.array_equal(resumed.sample(2), classes.sample(2))


def _task(network: torch.nn.Module, schedule: torch.Tensor | None) -> Diffusion:
    return Diffusion(network, shape=(1, 2, 2), usual=Usual("ddim", 4), schedule=schedule)


def test_a_network_that_knows_the_image_leads_every_sampler_to_it() -> None:
    """The noise in x, and its velocity, follow from x and the one image that there is."""
    image, schedule = torch.tensor([[0.5, -0.25], [1.0, -1.0]]).expand(3, 1, 2, 2), cosine_schedule(1000)

    def noise(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        kept = schedule[time].reshape(-1, 1, 1, 1)
        return (x - kept.sqrt() * image) / (1 - kept).sqrt()

    def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        return (image - x) / (1 - time.reshape(-1, 1, 1, 1)).clamp(min=1e-3)

    start = torch.randn(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert (ddim(noise, start, schedule, descent(1000, 7)) - image).abs().max() < 1e-4
    assert (euler(velocity, start, even(5)) - image).abs().max() < 1e-5
    x, _ = interpolated(image, start, torch.tensor([0.0, 0.5, 0.9]))
    assert (velocity(x, torch.tensor([0.0, 0.5, 0.9])) - (image - start)).abs().max() < 1e-5
    assert (clean(x, noise(x, torch.tensor([10, 500, 900])), schedule[500])[1] - image[1]).abs().max() < 1e-5


def test_heun_is_of_second_order() -> None:
    """dx/dt = x from 1 to e: halving the steps of Euler doubles the error, of Heun multiplies it by four."""

    def error(method: object, steps: int) -> float:
        x = method(lambda x, time: x, torch.ones(1, 1, dtype=torch.float64), even(steps))  # type: ignore[operator]
        return abs(x.item() - np.e)

    assert 1.8 < error(euler, 50) / error(euler, 100) < 2.2
    assert 3.8 < error(heun, 50) / error(heun, 100) < 4.2


def test_the_flow_loss_is_that_of_the_paper() -> None:
    """ψ_t(x₀) = (1 - t) x₀ + t x₁ and its derivative x₁ - x₀ (Lipman et al. 2022, equations 22 and 23, σ_min = 0), computed
    by automatic differentiation."""
    image, noise = torch.rand(5, 1, 2, 2) * 2 - 1, torch.randn(5, 1, 2, 2)
    time = torch.rand(5)
    x, velocity = interpolated(image, noise, time)

    def path(t: torch.Tensor) -> torch.Tensor:
        t = t.reshape(-1, 1, 1, 1)
        return (1 - t) * noise + t * image

    expected, slope = torch.func.jvp(path, (time,), (torch.ones(5),))
    torch.testing.assert_close(x, expected)
    torch.testing.assert_close(velocity, slope)

    class Halved(torch.nn.Module):
        def forward(self, x: torch.Tensor, time: torch.Tensor, label: object, words: object) -> torch.Tensor:
            return x / 2 + time.reshape(-1, 1, 1, 1) / 1000

    found = _task(Halved(), None)._errors(image, noise, 1 - time, None, None)
    answer = expected / 2 + (1 - time).reshape(-1, 1, 1, 1)
    torch.testing.assert_close(found, (answer - slope).square().flatten(1).mean(1), atol=1e-6, rtol=1e-5)
