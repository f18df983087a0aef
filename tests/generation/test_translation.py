"""The kind `translation`: partners, both methods, the pool, hidden messages, and that a killed training ends as any other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

import sightline
from sightline.data.formats.sniff import open_data
from sightline.data.orders import alternating
from sightline.errors import DataError, UsageError
from sightline.evaluation.generation.translations import judge_translations
from sightline.kinds.generative.domains import as_pictures
from sightline.metrics.generation.pictures import mean_difference, psnr, ssim
from sightline.models.generative.translators import PatchCritic, ResNetGenerator, UNetGenerator
from sightline.reports.finding import VerdictFacts
from sightline.reports.generation.translation import HIDDEN, TRANSLATIONS, hidden_message
from sightline.structures.batch import Batch
from sightline.structures.figure_rows import FigureRows
from sightline.structures.predictions import Images
from sightline.structures.targets import Pictures
from sightline.tasks.generative.translation import FIGURES, CycleTranslation, PairedTranslation

from . import tiny_translation as tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("translation")


@pytest.fixture(scope="module")
def cycle(folder: Path) -> sightline.Run:
    return tiny.train(folder, "fit.commit_every=1", usual=tiny.CYCLE)


def _bytes(run: sightline.Run, *networks: str) -> list[bytes]:
    return [(run.folder / f"model/{name}.safetensors").read_bytes() for name in networks]


def test_partners_have_equal_names_in_any_layout(tmp_path: Path) -> None:
    pixels = Image.fromarray(tiny.picture(0))

    def written(*names: str) -> Path:
        folder = tmp_path / names[0].split("/")[0] / "data"
        for number, name in enumerate(names):
            path = folder / name.split("/", 1)[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels.rotate(number).save(path)
        return folder

    for names, splits in (
        (("a/A/1.png", "a/A/2.png", "a/B/1.png", "a/B/3.png"), {None}),
        (("b/train/photo/1.png", "b/train/sketch/1.png", "b/val/photo/1.png", "b/val/sketch/2.png"), {"train", "val"}),
    ):
        found = as_pictures(open_data(str(written(*names))))
        assert found is not None and len(found.classes) == 2 and found.annotations is None
        assert {r.split for r in found.records} == splits
        assert sum(r.group is not None for r in found.records) == 2, names
        assert "1 of each have a partner" in found.reading
    three = written("d/A/1.png", "d/B/1.png", "d/C/1.png")
    assert as_pictures(open_data(str(three))) is None


def test_images_and_their_masks_are_partners(tmp_path: Path) -> None:
    for i in range(4):
        for sub, mode in (("images", "RGB"), ("masks", "L")):
            (tmp_path / sub).mkdir(exist_ok=True)
            image = Image.fromarray(tiny.picture(i)).convert(mode)
            (image.point(lambda v: v > 0) if mode == "L" else image).save(tmp_path / sub / f"{i}.png")
    found = as_pictures(open_data(str(tmp_path)))
    assert found is not None and found.classes == ("images", "masks") and len(found) == 8
    assert [r.id for r in found.records] == list(range(8)) and len({r.group for r in found.records}) == 4


def test_without_partners_pix2pix_says_what_to_do(tmp_path: Path) -> None:
    tiny.data(tmp_path, 10, partners=False)
    with pytest.raises(DataError, match="no picture of negative has a partner in plain") as caught:
        tiny.train(tmp_path)
    assert "task.method=cyclegan" in caught.value.hint
    with pytest.raises(UsageError, match=r"task\.pool has no effect with task\.method=pix2pix"):
        tiny.train(tmp_path, "task.pool=9")
    with pytest.raises(UsageError, match=r"fit\.batch=3 is odd"):
        tiny.train(tmp_path, usual=tuple(key.replace("batch=4", "batch=3") for key in tiny.CYCLE))
    with pytest.raises(UsageError, match=r"task\.source='plane' is no domain"):
        tiny.train(tmp_path, "task.source=plane", usual=tiny.CYCLE, out="plane")
    run = tiny.train(tmp_path, usual=tiny.CYCLE, out="unpaired")
    metrics = sightline.evaluate(run).judgement.metrics
    assert metrics["psnr"] is None and metrics["rounded_cycle_l1"] > 0


def test_pix2pix_on_pairs_through_every_verb(folder: Path, tmp_path: Path) -> None:
    run = tiny.train(folder, "task.source=plain", out="pairs")
    evaluation = sightline.evaluate(run)
    assert evaluation.judgement.n == 4, "an image of the source each, not one of each domain"
    assert evaluation.judgement.metrics["cycle_l1"] is None and evaluation.judgement.intervals["psnr"] is not None
    rows = sightline.predict(run, folder / "pictures/plain/00.png", out=tmp_path / "made", draw=tmp_path / "drawn").rows
    assert rows[0]["to"] == "negative"
    with Image.open(rows[0]["translation"]) as image:
        assert image.size == (tiny.SIDE, tiny.SIDE)
        text = image.text  # type: ignore[attr-defined]
    assert "Artificial" in text["Description"] and "trainedAlgorithmicMedia" in text["DigitalSourceType"]
    assert len(list((tmp_path / "drawn").iterdir())) == 1
    report = (run.folder / "report.html").read_text()
    assert "its true partner" in report and "dB" in report
    examples = json.loads((run.folder / "samples/examples.json").read_text())["items"]
    with Image.open(run.folder / examples[0]["file"]) as image:
        assert image.width > 2.5 * image.height, "three panels"


def test_a_training_killed_in_a_turn_of_the_critics_ends_as_one_that_was_left_alone(
    folder: Path, cycle: sightline.Run
) -> None:
    out = folder / "killed"
    keys = (*tiny.CYCLE, "fit.epochs=2", "fit.commit_every=1")
    command = [sys.executable, "-m", "tests.generation.tiny_translation", str(folder / "pictures"), str(out)]
    assert (
        subprocess.run([*command, "5", "critics", *keys], capture_output=True, timeout=300).returncode
        == -signal.SIGKILL
    )
    resumed = sightline.train(resume=out)
    networks = ("there", "back", "critic_of_target", "critic_of_source")
    assert _bytes(resumed, *networks) == _bytes(cycle, *networks)


@pytest.mark.slow
def test_pix2pix_killed_in_a_turn_of_the_critic_ends_as_if_left_alone(folder: Path) -> None:
    alone, out = tiny.train(folder, "fit.commit_every=1", out="alone"), folder / "killed pairs"
    command = [sys.executable, "-m", "tests.generation.tiny_translation", str(folder / "pictures"), str(out)]
    keys = (*tiny.KEYS, "fit.epochs=2", "fit.commit_every=1")
    assert (
        subprocess.run([*command, "4", "critic", *keys], capture_output=True, timeout=300).returncode == -signal.SIGKILL
    )
    assert _bytes(sightline.train(resume=out), "generator", "critic") == _bytes(alone, "generator", "critic")


def test_a_cyclegan_measures_both_directions(cycle: sightline.Run) -> None:
    judgement = sightline.evaluate(cycle).judgement
    assert judgement.n == 8 and [row["class"] for row in judgement.per_class] == ["there", "back"]
    assert all(row["support"] == 4 for row in judgement.per_class)
    assert all(judgement.metrics[name] is not None for name in FIGURES[:-1])


def _batch(image: Tensor, domain: list[int], partner: Tensor | None = None) -> Batch:
    n, _, height, width = image.shape
    shown = torch.zeros(n, image.shape[1], 0, 0, dtype=torch.uint8) if partner is None else partner
    known = torch.full((n,), partner is not None)
    size = torch.tensor([[height, width]] * n)
    frame = torch.eye(3).expand(n, 3, 3)
    return Batch.of_images(
        image, size, frame, size, torch.arange(n), torch.arange(n), Pictures(torch.tensor(domain), shown, known)
    )


class _Plus(torch.nn.Module):
    """Adds a number, and hides the input below a level if it is told to."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = torch.nn.Parameter(torch.tensor(by))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.by


class _Mean(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))
        self.remembered: list[bool] = []

    def forward(self, x: Tensor, remember: bool = False) -> Tensor:
        self.remembered.append(remember)
        return self.scale * x.mean((1, 2, 3))[:, None]


def test_the_losses_of_a_cyclegan_are_those_of_the_paper() -> None:
    there, back, of_target, of_source = _Plus(0.5), _Plus(-0.25), _Mean(), _Mean()
    task = CycleTranslation(there, back, of_target, of_source, cycle=10.0, identity=0.5)
    image = torch.tensor([0, 255, 127, 128], dtype=torch.uint8).reshape(4, 1, 1, 1).expand(4, 1, 2, 2)
    batch = _batch(image, [0, 1, 0, 1])
    one, other = (torch.tensor(v) / 127.5 - 1 for v in ([0.0, 127.0], [255.0, 128.0]))

    def ls(score: Tensor, aim: int) -> float:
        return float((score - aim).square().mean())

    fooled = ls(one + 0.5, 1) + ls(other - 0.25, 1)
    found = task.loss(batch, "generators")
    assert float(found.total.detach()) == pytest.approx(fooled + 10 * (0.25 + 0.25) + 5 * (0.5 + 0.25), rel=1e-5)
    critics = (ls(other, 1) + ls(one + 0.5, 0)) / 2 + (ls(one, 1) + ls(other - 0.25, 0)) / 2
    assert float(task.loss(batch, "critics").total.detach()) == pytest.approx(critics, rel=1e-5)
    assert of_target.remembered[-2:] == [False, True], "only made images come from the pool"
    alone = task.loss(_batch(image, [0, 0, 0, 0]), "critics")
    assert float(alone.total.detach()) == 0 and float(alone.weight) == 0


def test_the_losses_of_pix2pix_are_those_of_the_paper() -> None:
    task = PairedTranslation(_Plus(0.5), _Mean(), l1=100.0)
    image = torch.full((2, 1, 2, 2), 51, dtype=torch.uint8)
    batch = _batch(image, [0, 0], torch.full((2, 1, 2, 2), 204, dtype=torch.uint8))
    x, y = 51 / 127.5 - 1, 204 / 127.5 - 1
    score = torch.tensor((x + x + 0.5) / 2)
    expected = torch.nn.functional.softplus(-score) + 100 * abs(x + 0.5 - y)
    assert float(task.loss(batch, "generator").total.detach()) == pytest.approx(float(expected), rel=1e-5)


def test_the_pool_exchanges_half_of_the_images_for_earlier_ones() -> None:
    critic = PatchCritic((1, 16, 16), base=2, pool=4)
    seen: list[Tensor] = []
    critic.layers.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    for step in range(200):
        critic(torch.full((1, 1, 16, 16), step / 256), remember=True)
    age = torch.tensor([step - float(x.mean()) * 256 for step, x in enumerate(seen)])
    assert bool((age[:4] == 0).all()) and int(critic.held) == 4
    assert 0.35 < float((age[4:] > 0).float().mean()) < 0.65
    held = critic.past.clone()
    critic(torch.ones(3, 1, 16, 16))
    assert torch.equal(held, critic.past), "without `remember` nothing is exchanged"
    assert "past" in critic.state_dict() and "held" in critic.state_dict()


def test_a_message_below_a_level_is_found_by_rounding() -> None:
    """A generator that hides the image in a thousandth of its translation, and one that reads it there."""

    class Hide(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x / 1000

    class Seek(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 1000

    task = CycleTranslation(Hide(), Seek(), _Mean(), _Mean())
    image = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = _batch(image, [0] * 4)
    prediction = task.predict(batch)
    assert isinstance(prediction, Images)
    metrics = judge_translations(task.rows(batch, prediction)).metrics
    assert metrics["cycle_l1"] < 0.1 and metrics["rounded_cycle_l1"] > 50
    found = hidden_message(VerdictFacts(split="test", metrics={"test": metrics}), TRANSLATIONS.limits)
    assert found is not None and found.title == HIDDEN
    honest = VerdictFacts(split="test", metrics={"test": {"cycle_l1": 4.0, "rounded_cycle_l1": 4.2}})
    assert hidden_message(honest, TRANSLATIONS.limits) is None


def test_psnr_and_ssim_are_those_of_scikit_image() -> None:
    draw = np.random.default_rng(0)
    one = draw.integers(0, 256, (3, 20, 30, 3)).astype(np.uint8)
    other = np.clip(one + draw.normal(0, 20, one.shape), 0, 255).astype(np.uint8)
    x, y = (torch.from_numpy(a).permute(0, 3, 1, 2).float() for a in (one, other))
    for i in range(3):
        assert float(psnr(x, y)[i]) == pytest.approx(peak_signal_noise_ratio(one[i], other[i]), abs=1e-4)
        assert float(ssim(x, y)[i]) == pytest.approx(structural_similarity(one[i], other[i], channel_axis=2), abs=1e-4)
        assert float(mean_difference(x, y)[i]) == pytest.approx(np.abs(one[i].astype(int) - other[i]).mean(), abs=1e-4)


def test_means_are_over_the_images_that_have_a_figure() -> None:
    value = np.array([[10.0, 0.5, 9, 1, 1, 0], [np.nan, np.nan, np.nan, 3, 5, 1], [20.0, 0.7, 3, 2, 2, 0]])
    found = judge_translations(FigureRows(np.array([5, 6, 7]), value, FIGURES))
    assert found.metrics["psnr"] == 15 and found.metrics["rounded_cycle_l1"] == pytest.approx(8 / 3)
    assert found.worst[0] == 5 and found.per_class[1]["psnr"] is None and found.per_class[1]["cycle_l1"] == 3


def test_batches_alternate_between_domains() -> None:
    order = alternating(np.array([0, 1, 1, 0, 1, 1, 1]))
    places = order(3, 0)
    assert (
        places[0::2].tolist()
        and set(places[0::2].tolist()) == {0, 3}
        and sorted(places[1::2].tolist()) == [1, 2, 4, 5, 6]
    )
    assert not torch.equal(places, order(3, 1)) and torch.equal(places, order(3, 0))


def test_networks_keep_the_size_and_translate_an_image_alone_as_in_a_batch() -> None:
    for network in (UNetGenerator((3, 28, 28), 1, base=2), ResNetGenerator((3, 28, 28), 1, base=2, blocks=1)):
        x = torch.randn(3, 3, 28, 28)
        whole = network(x)
        assert whole.shape == (3, 1, 28, 28) and float(whole.detach().abs().max()) <= 1
        assert torch.allclose(network(x[1:2]), whole[1:2], atol=1e-5)
    assert len(UNetGenerator((3, 256, 256), 3, base=2).downs) == 8
    with pytest.raises(UsageError, match="27x28"):
        ResNetGenerator((3, 27, 28), 3)
    with pytest.raises(UsageError, match="27x28"):
        UNetGenerator((3, 27, 28), 3)
