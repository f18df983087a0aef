"""The walls' GAN on a folder of images without labels: two networks, several turns, nothing to measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from markupsafe import Markup
from torch import Tensor, nn

from sightline.kinds.kind import Answers, Keep, Kind, Networks, Setting
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.chapter import Chapter, PageSection, Scene
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings, Prediction
from sightline.tasks.task import Loss, Task, Turn

from .dying import maybe_die

SIDE, NOISE = 8, 4


class GanSection(TaskSection):
    kind: Literal["toy_gan"] = "toy_gan"
    penalty: float = 10.0


class Gan(Task):
    """Wasserstein with gradient penalty; five turns of the critic on five real batches, then the generator's."""

    turns = (Turn("critic", ("critic",)),) * 5 + (Turn("generator", ("generator",)),)

    def __init__(self, generator: nn.Module, critic: nn.Module, penalty: float) -> None:
        super().__init__()
        self.generator, self.critic, self.penalty = generator, critic, penalty

    def loss(self, batch: Batch, turn: str) -> Loss:
        maybe_die()
        weight = torch.tensor(float(len(batch)))
        made = self.generator(torch.randn(len(batch), NOISE))
        if turn == "generator":
            total = -self.critic(made).mean()
            return Loss(total, weight, {"generator": total.detach()})
        real, made = batch.image.float(), made.detach()
        between = (real + torch.rand(len(real), 1, 1, 1) * (made - real)).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()  # (b, 192) → (b,)
        total = self.critic(made).mean() - self.critic(real).mean() + self.penalty * penalty
        return Loss(total, weight, {"critic": total.detach(), "penalty": penalty.detach()})

    def predict(self, batch: Batch) -> Prediction:
        return Embeddings(self.critic(batch.image.float()))

    def rows(self, batch: Batch, prediction: Prediction) -> Any:
        raise AssertionError("nothing measures a GAN")

    metrics = rows  # type: ignore[assignment]


class Generator(nn.Sequential):
    """Noise (b, 4) → images (b, 3, 8, 8) in 0-255."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(NOISE, 3 * SIDE * SIDE), nn.Unflatten(1, (3, SIDE, SIDE)), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return 255 * super().forward(x)


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    with torch_seeded(recipe.seed, "initialise"):
        critic = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        return {"generator": Generator(), "critic": critic}


def _task(networks: Networks, setting: Setting) -> Gan:
    section = setting.recipe.task
    assert isinstance(section, GanSection)
    return Gan(networks["generator"], setting.normalised(networks["critic"]), section.penalty)


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return {
        "model": {"name": "toy_gan"},
        "input": {"size": SIDE, "width": SIDE, "channels": 3, "fit": "stretch"},
        "augment": {"preset": draft.augment.preset or "none", "flip": False},
        "optim": {
            "name": "adam",
            "lr": draft.optim.lr or 1e-3,
            "momentum": 0.0,
            "nesterov": False,
            "weight_decay": 0.0,
        },
        "fit": {"batch": draft.fit.batch or 4, "epochs": draft.fit.epochs or 10},
    }


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    assert isinstance(prediction, Embeddings)
    return [{"realness": value} for value in prediction.vector[:, 0].tolist()]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return f"{row['realness']:.4f}", ""


def _sections(scene: Scene) -> list[PageSection]:
    steps = Markup("<section id='gan'><h2>Adversaries</h2><p>{}</p></section>").format(len(scene.content.history))
    return [PageSection("gan", "Adversaries", steps)]


GAN = Kind(
    name="toy_gan",
    section=GanSection,
    accepts=lambda source: source.annotations is None,
    automatic=False,
    needs="images",
    defaults=_defaults,
    networks=_networks,
    inputs=lambda recipe: {"generator": (NOISE,), "critic": (3, SIDE, SIDE)},
    task=_task,
    answers=Answers(of=_answers, columns=("realness",), heads=("realness", ""), cells=_cells),
    chapter=Chapter(sections=_sections),
)
