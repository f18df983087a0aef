"""The controls beside a map: similarity, shuffled weights, deletion and insertion, a cue that was planted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from sightline.explanation.attribution.methods import DEFAULT, METHODS
from sightline.explanation.controls import baselines
from sightline.explanation.controls.faithfulness import area, curves, gain, hidden
from sightline.explanation.controls.randomisation import randomised, stages
from sightline.explanation.controls.sanity import judged
from sightline.explanation.controls.similarity import spearman, ssim
from sightline.explanation.explain import EFFORTS, Effort, explain_images, planned
from sightline.explanation.results import Explanation, sanity_of
from sightline.explanation.subject import Attribution, Subject, counted
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.reports.explanation.content import evidence_sentence, sanity_sentence

MARK = 4


def test_similarities_equal_their_references() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=(20, 30))
    b = (a + random.normal(size=a.shape)).round(1)  # with ties
    assert spearman(a, b) == pytest.approx(spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    x, y = a / np.abs(a).max(), b / np.abs(b).max()
    assert ssim(a, b) == pytest.approx(structural_similarity(x, y, data_range=2.0), abs=1e-9)
    assert spearman(a, np.zeros_like(a)) == ssim(a, np.zeros_like(a)) == 0.0
    assert spearman(a, 3 * a) == pytest.approx(1) and ssim(a, 3 * a) == pytest.approx(1)


def test_stages_begin_with_the_head_and_end_with_everything() -> None:
    network = create_model("resnet8", num_classes=3)
    there = stages(network)
    assert there[0][0] == "the head" and len(there[0][1]) == 1 and isinstance(there[0][1][0], nn.Linear)
    assert there[-1][0] == "the whole network" and len(there) == 5
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with randomised(there[-1][1]):
        now = network.state_dict()
        changed = [
            key for key, value in before.items() if value.unique().numel() > 1 and not torch.equal(value, now[key])
        ]
        assert len(changed) >= 9
        for key in changed:  # as large as before, and about 0
            assert float(now[key].square().mean()) == pytest.approx(float(before[key].square().mean()), rel=0.5)
            assert now[key].ndim < 2 or abs(float(now[key].mean())) < 0.5 * float(before[key].square().mean().sqrt())
        with randomised(there[-1][1]):
            pass
        assert all(torch.equal(now[key], value) for key, value in network.state_dict().items())
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in before.items())


def test_curves_of_a_score_that_is_one_pixel() -> None:
    """The probability depends on one pixel: a map that ranks it first falls at the first step, the reverse at the last."""
    subject = Subject(nn.Identity(), lambda x: x[:, 0, 1, 2, None] / 255, classes=False)
    pixels = torch.zeros(1, 1, 4, 4)
    pixels[0, 0, 1, 2] = 255.0
    heat = torch.zeros(1, 4, 4)
    heat[0, 1, 2] = 1.0
    target = torch.tensor([0])
    best = curves(subject, pixels, target, heat, fill="mean", steps=16)
    assert best.deletion[0, 0] == 1.0 and np.allclose(best.deletion[0, 1:], 1 / 16)
    assert best.insertion[0, 0] == pytest.approx(1 / 16) and np.allclose(best.insertion[0, 1:], 1.0)
    worst = curves(subject, pixels, target, -heat, fill="mean", steps=16)
    assert np.allclose(worst.deletion[0, :-1], 1.0) and worst.deletion[0, -1] == pytest.approx(1 / 16)
    assert area(best.deletion)[0] < area(worst.deletion)[0]


def test_gains_are_paired() -> None:
    random = np.random.default_rng(1)
    level = random.uniform(size=60)  # images differ far more than the two methods do
    better = gain(level - 0.02 + 0.005 * random.normal(size=60), level, lower_is_better=True)
    assert 0.01 < better.low < better.mean < better.high < 0.03
    same = gain(level + 0.05 * random.normal(size=60), level, lower_is_better=False)
    assert same.low < 0 < same.high
    assert gain(level[:1], level[:1], lower_is_better=True).high == np.inf


def test_blur_keeps_the_mean_and_removes_detail() -> None:
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    blurred = hidden(pixels, "blur")
    assert float(blurred.std()) < 0.15 * float(pixels.std())
    assert float((blurred.mean() - pixels.mean()).abs()) < 2


def test_a_map_without_positive_evidence_is_a_sentence() -> None:
    zero = Explanation("grad_cam", Attribution(torch.zeros(1, 1, 4, 4), "sum", False, "weighted activation"))
    assert evidence_sentence(zero, "the score of 'cat'") == (
        "No positive evidence: nothing in the image raises the score of 'cat' by this method."
    )


def test_a_verdict_is_that_of_a_set() -> None:
    """One map may resemble another by chance, in either direction; twenty do not."""
    chance = [(0.8, -0.7, 0.6), (-0.6, 0.5, -0.9), (0.9, 0.7, 0.4), (-0.3, 0.2, 0.1), (0.6, -0.8, 0.1)]
    assert judged(chance).verdict == "depends on the head"
    assert judged(chance[2:3]).verdict == "too few images"
    assert judged([(0.1, 0.2)]).verdict == "depends on the head"
    assert judged([(0.95, 0.97)]).caught and judged([(0.7,)] * 5).caught and not judged([(0.7,)] * 4).caught
    assert "stays the same when the head is random" in sanity_sentence("guided_backprop", judged([(0.7,)] * 5))
    assert "too few images to tell" in sanity_sentence("grad_cam", judged(chance[2:3]))
    assert "changes when the head is random" in sanity_sentence("grad_cam", judged(chance))


def _marked(n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a mark of 4 x 4 pixels, columns or rows, that alone decides the class; and where it is."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(n, 1, 20, 20, generator=generator) * 120
    kind = torch.randint(2, (n,), generator=generator)
    places = torch.randint(16, (n, 2), generator=generator).tolist()
    stripes = torch.tensor([255.0, 0, 255, 0]).repeat(4, 1)
    inside = torch.zeros(n, 20, 20, dtype=torch.bool)
    for i, (top, left) in enumerate(places):
        pixels[i, 0, top : top + MARK, left : left + MARK] = stripes if kind[i] else stripes.T
        inside[i, top : top + MARK, left : left + MARK] = True
    return pixels, kind, inside


@pytest.fixture(scope="module")
def planted() -> tuple[Subject, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 16, 4, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip
    network = Normalised(Normalise([60.0], [60.0]), body)
    pixels, kind, _ = _marked(512, seed=1)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for step in range(60):
        rows = torch.arange(64) + 64 * (step % 8)
        loss = nn.functional.cross_entropy(network(pixels[rows]), kind[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pixels, kind, inside = _marked(40, seed=2)
    assert float((network(pixels).argmax(1) == kind).float().mean()) >= 0.95
    return Subject(network, network), pixels, kind, inside


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "grad_cam", "occlusion"])
def test_maps_find_a_planted_cue(method: str, planted: tuple[Subject, Tensor, Tensor, Tensor]) -> None:
    subject, pixels, kind, inside = planted
    heat = METHODS[method].explain(subject, pixels[:12], kind[:12]).map.clamp(min=0)
    share = (heat * inside[:12]).sum((1, 2)) / heat.sum((1, 2)).clamp(min=1e-12)
    assert float(share.mean()) >= 5 * 16 / 400


def test_controls_stand_beside_the_maps(planted: tuple[Subject, Tensor, Tensor, Tensor]) -> None:
    subject, pixels, kind, _ = planted
    ((explanations, controls),) = explain_images(
        subject, pixels[:1], kind[:1], ["gradient", "grad_cam"], effort=EFFORTS["full"]
    )
    assert controls is not None and set(controls.maps) == {"edges", "centre", "random"}
    assert explanations[0].areas["mean"]["deletion"] < controls.areas["random"]["mean"]["deletion"]
    assert np.array_equal(controls.maps["random"], baselines.noise(pixels[:1])[0].numpy())
    assert explanations[0].randomised is not None and explanations[0].stages[-1].name == "the whole network"


def test_images_explained_together_have_the_maps_of_images_explained_alone(
    planted: tuple[Subject, Tensor, Tensor, Tensor],
) -> None:
    subject, pixels, kind, _ = planted
    names = ["gradient", "grad_cam", "integrated_gradients", "occlusion"]
    together = explain_images(subject, pixels[:3], kind[:3], names)
    for i in range(3):
        ((alone, _),) = explain_images(subject, pixels[i : i + 1], kind[i : i + 1], names)
        for one, other in zip(together[i][0], alone, strict=True):
            np.testing.assert_allclose(one.map, other.map, rtol=1e-3, atol=1e-6)
            assert one.stages[0].spearman == pytest.approx(other.stages[0].spearman, abs=0.02)
    assert sanity_of([row for row, _ in together])["gradient"].images == 3


NAMES = ["gradient", "integrated_gradients", "grad_cam", "occlusion", "smoothgrad", "rise"]
SETTINGS = {"integrated_gradients": {"most": 50}}


@pytest.mark.parametrize("effort", [None, Effort(2, 3, 0), Effort(3, 2, 4)])
def test_the_passes_are_those_that_were_planned(
    effort: Effort | None, planted: tuple[Subject, Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, pixels, kind, _ = planted
    seen, back, slope = [], [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: back.append(len(a[1])) or slope(*a, **k))
    explain_images(counted(subject, seen.append), pixels[:2], kind[:2], NAMES, effort=effort, settings=SETTINGS)
    passes = planned(subject.network, 20, 20, NAMES, effort, SETTINGS)
    assert sum(seen) == 2 * passes.forward
    assert sum(back) == 2 * passes.backward


def test_quick_controls_cost_less_than_the_maps() -> None:
    """At 224 pixels, with the methods of `explain` by default: what an image costs is bounded."""
    network = create_model("resnet8", num_classes=3)
    alone, quick, full = (
        planned(network, 224, 224, DEFAULT, EFFORTS[level], {}) for level in ("none", "quick", "full")
    )
    assert (alone.forward, alone.backward) == (136, 52)
    assert quick.forward < 1.7 * alone.forward and quick.backward < 1.7 * alone.backward
    assert full.forward > 2 * quick.forward


def test_single_passes_are_shared_by_images(planted: tuple[Subject, Tensor, Tensor, Tensor]) -> None:
    subject, pixels, kind, _ = planted
    calls: list[int] = []
    explain_images(counted(subject, calls.append), pixels[:6], kind[:6], ["gradient", "grad_cam"])
    assert calls == [6] * 10  # a map, three random heads and a random network, for two methods
