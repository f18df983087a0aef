"""Six toy tasks that strain the house: tiny networks on generated data, through the real Batch, Task, fit and commit.

`python tests/walls.py TASK FOLDER [KILL_AT]` trains one to the end, from wherever FOLDER stands; with KILL_AT it dies
by SIGKILL when it asks for that micro-batch, which lies inside an epoch and inside an accumulated step.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sightline.data.orders import pairs, shuffle
from sightline.data.stream import Stream
from sightline.engine.checkpoints import Checkpoints, kept_weights
from sightline.engine.devices import fingerprint, make_fabric, set_up
from sightline.engine.ema import Ema
from sightline.engine.fit import TrainingPlan, fit
from sightline.engine.optimizers import one_a_turn
from sightline.engine.schedules import cosine
from sightline.engine.state import State
from sightline.randomness.keyed import torch_seeded, uniform
from sightline.storage.logs import Log
from sightline.structures.batch import Batch, Sample, collate
from sightline.structures.predictions import Classes, Detections, Embeddings, Images, Prediction
from sightline.structures.targets import Boxes, Labels, Pairs, Several, Target
from sightline.tasks.task import Loss, Task, Turn

N, MICRO, ACCUMULATE, STEPS, COMMIT_EVERY = 37, 4, 2, 11, 3


def picture(place: int, height: int = 8, width: int = 8) -> Tensor:
    """Noise with a bright corner that depends on the sample, (3, h, w) uint8."""
    noise = uniform(0, "pixels", place, torch.arange(3 * height * width)).view(3, height, width)  # (3hw,) → (3, h, w)
    noise[place % 3, : height // 2, : width // 2] += 1
    return (noise * 127).to(torch.uint8)


def sample(place: int, target: Target, **size: int) -> Sample:
    image = picture(place, **size)
    return Sample.of_image(image, place, target, torch.eye(3), torch.tensor(image.shape[1:]))


def loader(make: Callable[[int], Sample]) -> Callable[[Tensor, Tensor], Batch]:
    return lambda places, positions: collate([make(int(p)) for p in places], positions.tolist())


def of_task(self: Task, *_: Any) -> Any:
    """Rows and metrics are not what these tasks are for."""
    return {}


def pixels(batch: Batch) -> Tensor:
    return batch.image.float() / 127 - 1


# ------------------------------------------------------------------------------------------- 1. a classifier
class Classifier(Task):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(288, 3)
        )

    def loss(self, batch: Batch, turn: str) -> Loss:
        labels = batch.target
        assert isinstance(labels, Labels)
        each = F.cross_entropy(self.model(pixels(batch)), labels.index, reduction="none") * labels.known
        weight = labels.known.sum().float()
        mean = each.sum() / weight.clamp(min=1)
        return Loss(mean, weight, {"cross_entropy": mean.detach()})

    def predict(self, batch: Batch) -> Prediction:
        return Classes(self.model(pixels(batch)).softmax(-1))

    rows = metrics = of_task  # type: ignore[assignment]


def labelled(place: int) -> Sample:
    return sample(place, Labels.of(torch.tensor([-1 if place % 5 == 0 else place % 3])))


# ---------------------------------------------- 2. a GAN whose critic moves five times on five different real batches
class Gan(Task):
    turns = (Turn("critic", ("critic",)),) * 5 + (Turn("generator", ("generator",)),)

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 192), nn.Unflatten(1, (3, 8, 8)), nn.Tanh())
        self.critic = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        self.seen: list[tuple[int, ...]] = []

    def loss(self, batch: Batch, turn: str) -> Loss:
        weight = torch.tensor(float(len(batch)))
        fake = self.generator(torch.randn(len(batch), 4))
        if turn == "generator":
            total = -self.critic(fake).mean()
            return Loss(total, weight, {"generator": total.detach()})
        self.seen.append(tuple(batch.position.tolist()))
        real = pixels(batch)
        between = (real + torch.rand(len(real), 1, 1, 1) * (fake.detach() - real)).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()  # (b, 192) → (b,)
        total = self.critic(fake.detach()).mean() - self.critic(real).mean() + 10 * penalty
        return Loss(total, weight, {"critic": total.detach(), "penalty": penalty.detach()})

    def predict(self, batch: Batch) -> Prediction:
        return Images(self.generator(torch.randn(len(batch), 4)))

    rows = metrics = of_task  # type: ignore[assignment]


# -------------------------------------------------------------------- 3. two generators under one optimiser, two critics
class TwoGenerators(Task):
    turns = (Turn("generators", ("there", "back")), Turn("critics", ("critic_a", "critic_b")))

    def __init__(self) -> None:
        super().__init__()
        self.there, self.back = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.critic_a, self.critic_b = (nn.Sequential(nn.Flatten(), nn.Linear(192, 1)) for _ in "ab")

    def loss(self, batch: Batch, turn: str) -> Loss:
        weight, a = torch.tensor(float(len(batch))), pixels(batch)
        b = a.flip(1)  # the other domain: channels reversed
        fake_b, fake_a = self.there(a), self.back(b)
        if turn == "generators":
            cycle = (self.back(fake_b) - a).abs().mean() + (self.there(fake_a) - b).abs().mean()
            total = (
                10 * cycle + (self.critic_b(fake_b) - 1).square().mean() + (self.critic_a(fake_a) - 1).square().mean()
            )
            return Loss(total, weight, {"cycle": cycle.detach()})
        judged = [(self.critic_a, a, fake_a), (self.critic_b, b, fake_b)]
        total = torch.stack([(c(r) - 1).square().mean() + c(f.detach()).square().mean() for c, r, f in judged]).sum()
        return Loss(total, weight, {"critics": total.detach()})

    def predict(self, batch: Batch) -> Prediction:
        return Images(self.there(pixels(batch)))

    rows = metrics = of_task  # type: ignore[assignment]


# ------------------------------------------------ 4. a detector with unequal images, whose network is given the targets
class RegionTargets(NamedTuple):
    boxes: Tensor
    sample: Tensor


class RegionOutputs(NamedTuple):
    score: Tensor
    delta: Tensor
    proposal: Tensor
    owner: Tensor


class RegionNetwork(nn.Module):
    """Scores proposals: jittered truth while it is given targets, a fixed grid otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 5)

    def forward(self, image: Tensor, size: Tensor, targets: RegionTargets | None = None) -> RegionOutputs:
        maps = self.body(image)  # (b, 4, h, w)
        if targets is None:
            owner = torch.arange(len(image))
            proposal = torch.cat([torch.zeros(len(image), 2), size.flip(1) / 2], 1)  # (b, 4)
        else:
            owner = targets.sample
            proposal = targets.boxes + torch.randn(targets.boxes.shape)
        pooled = maps.mean((2, 3))[owner] * proposal[:, 2:].mean(1, keepdim=True)  # (n, 4)
        out = self.head(pooled)
        return RegionOutputs(out[:, 0], out[:, 1:], proposal, owner)


class Detector(Task):
    def __init__(self) -> None:
        super().__init__()
        self.model = RegionNetwork()

    def loss(self, batch: Batch, turn: str) -> Loss:
        truth = batch.target
        assert isinstance(truth, Boxes)
        out = self.model(pixels(batch), batch.size, RegionTargets(truth.boxes, truth.sample))
        weight = torch.tensor(float(len(truth.boxes)))
        score = F.binary_cross_entropy_with_logits(out.score, torch.ones_like(out.score), reduction="sum")
        delta = F.smooth_l1_loss(out.delta, truth.boxes - out.proposal, reduction="sum")
        total = (score + delta) / weight.clamp(min=1)
        return Loss(total, weight, {"delta": delta.detach() / weight.clamp(min=1)})

    def predict(self, batch: Batch) -> Prediction:
        out = self.model(pixels(batch), batch.size)
        return Detections(out.proposal + out.delta, torch.zeros_like(out.owner), out.score.sigmoid(), out.owner)

    rows = metrics = of_task  # type: ignore[assignment]


def boxed(place: int) -> Sample:
    """An image of its own size with none, one or two boxes."""
    height, width, n = 6 + place % 4, 6 + place % 5, place % 3
    boxes = torch.tensor([[0.0, 0.0, 2.0 + i, 3.0] for i in range(n)]).view(n, 4)
    label = torch.zeros(n, dtype=torch.int64)
    return sample(place, Boxes(boxes, label, label.clone()), height=height, width=width)


# ------------------------------------------------------------------------------- 5. pairs with a contrastive loss
class Siamese(Task):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Tanh(), nn.Linear(8, 2))

    def loss(self, batch: Batch, turn: str) -> Loss:
        who = batch.target
        assert isinstance(who, Pairs)
        left, right = self.model(pixels(batch)).view(-1, 2, 2).unbind(1)  # (2m, 2) → (m, 2, 2)
        same = (who.identity[0::2] == who.identity[1::2]).float()
        distance = ((left - right).square().sum(1) + 1e-6).sqrt()
        total = (same * distance.square() + (1 - same) * (1 - distance).clamp(min=0).square()).mean()
        return Loss(total, torch.tensor(float(len(same))), {"contrastive": total.detach()})

    def predict(self, batch: Batch) -> Prediction:
        return Embeddings(self.model(pixels(batch)))

    rows = metrics = of_task  # type: ignore[assignment]


# ------------------------------------------------------------------- 6. two questions, half of the answers missing
class TwoQuestions(Task):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 5))

    def loss(self, batch: Batch, turn: str) -> Loss:
        asked = batch.target
        assert isinstance(asked, Several)
        logits = dict(zip(("corner", "parity"), self.model(pixels(batch)).split([3, 2], dim=1), strict=True))
        sums, weight = [], torch.zeros(())
        for name, labels in asked.by_name.items():
            assert isinstance(labels, Labels)
            sums.append((F.cross_entropy(logits[name], labels.index, reduction="none") * labels.known).sum())
            weight = weight + labels.known.sum()
        total = torch.stack(sums).sum() / weight.clamp(min=1)
        return Loss(total, weight, {"cross_entropy": total.detach()})

    def predict(self, batch: Batch) -> Prediction:
        return Classes(self.model(pixels(batch))[:, :3].softmax(-1))

    rows = metrics = of_task  # type: ignore[assignment]


def two_labels(place: int) -> Sample:
    """Each sample knows one of its two labels; every seventh knows neither."""
    corner = place % 3 if place % 2 and place % 7 else -1
    parity = place % 2 if place % 2 == 0 and place % 7 else -1
    known = {"corner": Labels.of(torch.tensor([corner])), "parity": Labels.of(torch.tensor([parity]))}
    return sample(place, Several(known))


# ---------------------------------------------------------------------------------------------------- the run
IDENTITY = np.arange(N) % 6
TOYS: dict[str, tuple[type[Task], Callable[[int], Sample], str]] = {
    "classifier": (Classifier, labelled, "sgd"),
    "gan": (Gan, labelled, "adam"),
    "two_generators": (TwoGenerators, labelled, "adam"),
    "detector": (Detector, boxed, "adamw"),
    "siamese": (Siamese, lambda place: sample(place, Pairs(torch.tensor([IDENTITY[place]]))), "sgd"),
    "two_questions": (TwoQuestions, two_labels, "rmsprop"),
}


def train(
    name: str, folder: Path, *, kill_at: int = -1, accumulate: int = ACCUMULATE, workers: int = 0, by: str | None = None
) -> Task:
    """Train the toy from wherever `folder` stands to the end, committing every third step; `by` another optimiser."""
    torch.set_num_threads(1)
    kind, make, optimizer = TOYS[name]
    optimizer = by or optimizer
    with torch_seeded(0, "initialise"):
        task = kind()
    fabric = make_fabric("cpu", "fp32")
    momentum = 0.9 if optimizer in ("sgd", "rmsprop") else 0.0
    optimizers = set_up(fabric, task, one_a_turn(task, optimizer, lr=0.01, momentum=momentum, weight_decay=1e-4))
    ema = Ema(task, 0.9)
    order = pairs(IDENTITY) if name == "siamese" else shuffle(N)
    micro = MICRO * ACCUMULATE // accumulate
    stream = Stream(loader(make), order, N, micro, seed=3, workers=workers)
    log = Log(folder / "metrics.jsonl")

    def feed(start: int) -> Iterator[Batch]:
        for k, batch in enumerate(stream.feed(start), start):
            if k == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    def note(state: State) -> None:
        log.append(f"{state.step} {state.logged.means()}\n")
        state.logged.clear()
        state.history.append({"step": state.step, **state.epoch.means()})
        if state.step == 2 * COMMIT_EVERY:
            state.best_weights = kept_weights(task, ema)

    about = {"fingerprint": fingerprint(fabric, "fp32")}
    keeper = Checkpoints(folder, task, optimizers, ema=ema, logs={"metrics": log}, about=about, say=print)
    state = fit(
        fabric, task, optimizers, feed, TrainingPlan(STEPS, lambda s: cosine(s.step, steps=STEPS), accumulate, 1.0, seed=3),
        ema=ema, state=keeper.resume(), every=((1, note), (COMMIT_EVERY, keeper.commit)),
    )  # fmt: skip
    assert state.step == STEPS
    return task


if __name__ == "__main__":
    train(sys.argv[1], Path(sys.argv[2]), kill_at=int(sys.argv[3]) if len(sys.argv) > 3 else -1)
