"""The parts of a GAN: losses and their gradients, networks, ways of the class, judgement, rules of the verdict."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from sightline.errors import UsageError
from sightline.evaluation.generation.sets import judge_sets, read_set_rows, write_set_rows
from sightline.losses.generative import critic_loss, generator_loss, gradient_penalty
from sightline.metrics.generation.copies import copies
from sightline.metrics.generation.modes import regions
from sightline.models.generative.conditional_gan import Generator as Dense
from sightline.models.generative.families import FAMILIES
from sightline.models.generative.stylegan import Modulated
from sightline.reports.finding import VerdictFacts
from sightline.reports.rules import generation as rules
from sightline.reports.thresholds import DENSE_LIMITS
from sightline.structures.rows.sets import SetRows

SHAPE = (1, 28, 28)
WAYS = [(name, way) for name, family in FAMILIES.items() for way in ("none", *family.ways)]


def test_losses_and_the_gradients_of_the_generator() -> None:
    s = torch.linspace(-8, 8, 9, requires_grad=True)
    d = s.detach().sigmoid()
    for game, expected in (
        ("saturating", -d),
        ("non_saturating", d - 1),
        ("hinge", -torch.ones(9)),
        ("wasserstein", -torch.ones(9)),
    ):
        (slope,) = torch.autograd.grad(generator_loss(game, s) * len(s), s)
        assert torch.allclose(slope, expected, atol=1e-6), game
    guess = torch.zeros(4)
    assert critic_loss("non_saturating", guess, guess).item() == pytest.approx(math.log(4))
    real, made = torch.tensor([0.5, 2.0]), torch.tensor([-0.5, 0.5])
    assert critic_loss("hinge", real, made).item() == pytest.approx((0.5 + 0) / 2 + (0.5 + 1.5) / 2)
    assert critic_loss("wasserstein", real, made).item() == pytest.approx(-1.25)
    with pytest.raises(UsageError, match="unknown game"):
        generator_loss("hinged", guess)


def test_the_penalty_of_a_linear_critic_is_that_of_its_slope() -> None:
    direction = torch.tensor([3.0, 4.0], requires_grad=True)
    real, made = torch.randn(5, 2), torch.randn(5, 2)
    penalty = gradient_penalty(lambda x: x @ direction, real, made, torch.rand(5))
    assert penalty.item() == pytest.approx((5 - 1) ** 2)
    (slope,) = torch.autograd.grad(penalty, direction)
    assert torch.allclose(slope, 2 * (5 - 1) * direction.detach() / 5)


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_networks_of_every_family_with_every_way(name: str, way: str) -> None:
    family, classes = FAMILIES[name], 0 if way == "none" else 3
    torch.manual_seed(0)
    options = family.options | {"base": 4}
    generator = family.generator(SHAPE, latent=6, classes=classes, way=way, **options)
    critic = family.critic(SHAPE, classes=classes, way=way, spectral=True, **options).eval()
    z, label = torch.randn(3, 6), torch.arange(3) if classes else None
    generator(z, label).square().mean().backward()
    assert all(p.grad is not None for p in generator.parameters())
    x = generator.eval()(z, label).detach()
    assert x.shape == (3, *SHAPE) and x.abs().max() <= 1
    score = critic(x, label)
    assert score.shape == (3,)
    alone = torch.cat([critic(x[i : i + 1], None if label is None else label[i : i + 1]) for i in range(3)])
    assert torch.allclose(alone, score, atol=1e-5)
    if label is not None:
        assert not torch.equal(critic(x, label.flip(0))[0], score[0])
        for parameter in generator.parameters():  # scales of classes start equal
            parameter.data += 0.1 * torch.randn_like(parameter)
        assert not torch.equal(generator(z, label), generator(z, label.flip(0)))


def test_spectral_norm_holds_the_slope_of_the_critic() -> None:
    torch.manual_seed(0)
    critic = FAMILIES["dcgan"].critic(SHAPE, base=8, spectral=True)
    for module in critic.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.parametrizations.weight.original.data *= 50  # type: ignore[union-attr]
    for _ in range(30):
        critic(torch.randn(4, *SHAPE))
    for module in critic.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert torch.linalg.matrix_norm(module.weight.flatten(1), 2) < 1.05


def test_the_fully_connected_generator_has_the_sizes_of_its_paper() -> None:
    shapes = {name: tuple(p.shape) for name, p in Dense(SHAPE, classes=10, way="concat").named_parameters()}
    assert shapes["of_noise.weight"] == (200, 100) and shapes["of_class.weight"] == (1000, 10)
    assert shapes["both.weight"] == (1200, 1200) and shapes["pixels.weight"] == (784, 1200)


def test_a_modulated_convolution_has_unit_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    layer = Modulated(32, 64, 3, 8)
    x, w = torch.randn(4, 32, 24, 24), torch.randn(4, 8)
    y = layer(x, w)[:, :, 2:-2, 2:-2]
    assert (y.std((1, 2, 3)) - 1).abs().max() < 0.15
    layer.style.weight.data *= 10
    layer.style.bias.data *= 10
    assert torch.allclose(layer(x, w)[:, :, 2:-2, 2:-2], y, atol=1e-3)


def cloud(n: int, seed: int, modes: int = 8) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(8, 5)) * 4
    return centres[random.integers(modes, size=n)] + random.normal(size=(n, 5))


def test_regions_and_copies_are_found() -> None:
    real = cloud(800, 0)
    assert regions(real, cloud(800, 1)).reached > 0.9
    assert regions(real, cloud(800, 1, modes=2)).reached < 0.5
    train, held_out = cloud(500, 2), cloud(500, 3)
    assert copies(cloud(300, 4), train, held_out).mean() < 0.03
    repeats = train[:300] + 1e-3 * np.random.default_rng(5).normal(size=(300, 5))
    assert copies(repeats, train, held_out).mean() > 0.9
    close = np.concatenate([train, train + 1e-4])  # every image twice: neither is alone
    assert not copies(repeats, close, held_out).any()


def test_judgement_and_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    real, made = cloud(600, 0), cloud(600, 1)
    rows = SetRows(np.arange(600), real, made, np.ones(600), np.zeros(600))
    judgement = judge_sets(rows, ("a", "b"))
    metrics, interval = judgement.metrics, judgement.intervals["frechet"]
    assert interval is not None and interval[0] <= metrics["frechet"] <= interval[1]  # type: ignore[operator]
    assert metrics["frechet"] < metrics["frechet_noise"] / 20  # type: ignore[operator]
    assert min(metrics["precision"], metrics["recall"], metrics["regions"]) > 0.8  # type: ignore[type-var]
    assert judge_sets(rows, ()).to_json() == judgement.to_json()
    far = judge_sets(dataclasses.replace(rows, made=cloud(600, 1, modes=1)), ())
    assert far.metrics["recall"] < 0.3 and far.metrics["regions"] < 0.4  # type: ignore[operator]
    write_set_rows(tmp_path / "rows.parquet", rows, names=[str(i) for i in range(600)], classes=("a",))
    read, names, _ = read_set_rows(tmp_path / "rows.parquet")
    assert names[7] == "7" and judge_sets(read, ()).to_json() == judgement.to_json()


GOOD = {
    "frechet": 0.2, "frechet_floor": 0.1, "frechet_noise": 40.0, "precision": 0.7, "recall": 0.6, "regions": 0.95,
    "memorised": 0.0,
}  # fmt: skip


def facts(history: list[dict[str, float | None]] | None = None, **changes: float) -> VerdictFacts:
    return VerdictFacts(
        split="test",
        n=5_000,
        metrics={"test": GOOD | changes},
        history=history or [],
        recipe={"task": {"loss": "saturating"}},
    )


def course(norms: list[float], gap: float) -> list[dict[str, float | None]]:
    return [{"train_generator_gradient": v, "val_score_real": gap / 2, "val_score_made": -gap / 2} for v in norms]


def test_rules_name_collapse_vanishing_gradients_and_memorisation() -> None:
    every = (rules.collapse, rules.vanishing, rules.memorisation)
    healthy = facts(course([2.0, 1.5, 1.6, 1.2], 1.0))
    assert [rule(healthy, DENSE_LIMITS) for rule in every] == [None, None, None]
    found = rules.result(healthy, DENSE_LIMITS)
    assert found is not None and found.severity == "good"
    fallen = rules.collapse(facts(regions=0.3), DENSE_LIMITS)
    assert fallen is not None and fallen.limit == "mode collapse" and "30" in fallen.evidence
    assert rules.collapse(facts(recall=0.02), DENSE_LIMITS) is not None
    gone = rules.vanishing(facts(course([2.0, 0.5, 0.01, 0.001], 12.0)), DENSE_LIMITS)
    assert gone is not None and "task.loss=non_saturating" in gone.try_next[0].command
    assert rules.vanishing(facts(course([2.0, 0.5, 0.01, 0.001], 1.0)), DENSE_LIMITS) is None, "the critic has not won"
    repeated = rules.memorisation(facts(memorised=0.4), DENSE_LIMITS)
    assert repeated is not None and repeated.limit == "memorisation"
    noise = rules.result(facts(frechet=50.0), DENSE_LIMITS)
    assert noise is not None and noise.severity == "serious"
