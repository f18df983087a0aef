"""Auxiliary heads of a classifier: how they are counted, and what they are for."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from sightline.layers.initialise import initialise
from sightline.metrics.classification import classification_metrics
from sightline.models.create import create_model
from sightline.models.early.googlenet import WithAuxiliaries
from sightline.preprocessing.normalise import Normalise
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels
from sightline.tasks.classification import Classification

torch.set_num_threads(1)


class Answering(nn.Module):
    """Scores that are given, and auxiliary ones while training."""

    def __init__(self, *scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.ParameterList(scores)

    def forward(self, image: Tensor) -> Tensor | WithAuxiliaries:
        return WithAuxiliaries(*self.scores) if self.training else self.scores[0]


def batch(index: list[int], image: Tensor | None = None) -> Batch:
    """Images of these classes; -1 is unknown."""
    b = len(index)
    image = torch.zeros(b, 3, 4, 4, dtype=torch.uint8) if image is None else image
    size, frame = torch.tensor([image.shape[2:]]).expand(b, 2), torch.eye(3).expand(b, 3, 3)
    return Batch.of_images(image, size, frame, size, torch.arange(b), torch.arange(b), Labels.of(torch.tensor(index)))


@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1}, {"loss": "hinge"}, {"class_weight": torch.tensor([1.0, 2.0, 0.5])}]
)
def test_each_auxiliary_loss_counts_three_tenths(options: dict) -> None:
    main, aux2, aux1 = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0))
    some = batch([2, 0, -1, 1])
    alone = [Classification(Answering(scores), **options).eval().loss(some) for scores in (main, aux2, aux1)]
    together = Classification(Answering(main, aux2, aux1), **options).train().loss(some)
    assert together.weight == alone[0].weight
    assert len({round(loss.total.item(), 3) for loss in alone}) == 3
    assert torch.allclose(together.total, alone[0].total + 0.3 * (alone[1].total + alone[2].total))
    assert together.parts.keys() == alone[0].parts.keys() == {"loss", "accuracy"}
    target = torch.tensor([2, 0, -1, 1]).numpy()
    judged = classification_metrics(target, main.double().softmax(1).numpy())["loss"]  # as validations measure it
    assert together.parts == alone[0].parts
    assert together.parts["loss"] == (pytest.approx(judged), 3)
    known = torch.tensor([0, 1, 3])
    right = main.argmax(1)[known] == torch.tensor([2, 0, 1])
    assert together.parts["accuracy"] == (pytest.approx(right.float().mean().item()), 3)
    other = Classification(Answering(main, aux2, aux1), **options, aux_weight=0.5).train().loss(some)
    assert torch.allclose(other.total, alone[0].total + 0.5 * (alone[1].total + alone[2].total))


def test_parts_of_a_batch_add_up() -> None:
    """So accumulation and processes change nothing: Σ w·L / Σ w of two parts is the loss of the whole."""
    scores = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(1))
    index = [2, 0, -1, 1]
    whole = Classification(Answering(*scores)).loss(batch(index))
    cuts = slice(0, 1), slice(1, 4)
    parts = [Classification(Answering(*scores[:, cut])).loss(batch(index[cut])) for cut in cuts]
    mean = sum(part.weight * part.total for part in parts) / sum(part.weight for part in parts)
    assert torch.allclose(mean, whole.total)


def test_scores_are_predicted_without_them() -> None:
    scores = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(2))
    task = Classification(Answering(*scores)).eval()
    assert torch.equal(task.predict(batch([0, 1, 2, 0])).probability, scores[0].softmax(1))


# ---------------------------------------------------------------------------------------------------------- gradients
FIRST = ["conv1", "conv2", "conv3", "inception3a", "inception3b", "inception4a"]  # before the first auxiliary head
MIDDLE = ["inception4b", "inception4c", "inception4d"]  # between the two
LAST = ["inception4e", "inception5a", "inception5b", "fc"]


@cache
def gradient_norms(start: str, aux: bool) -> dict[str, float]:
    """Of each block's weights, in one pass of the paper's network; the same weights and images in all calls of a start."""
    network = create_model("googlenet_paper", num_classes=5, small_images=True, seed=0)
    torch.manual_seed(0)
    initialise(network, start)
    if not aux:
        without = create_model("googlenet_paper", num_classes=5, small_images=True, aux=False)
        unused = without.load_state_dict(network.state_dict(), strict=False).unexpected_keys
        assert unused
        assert all(key.startswith("aux") for key in unused)
        network = without
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 32, 32), generator=generator, dtype=torch.uint8)
    behind = nn.Sequential(Normalise([127.5] * 3, [74.0] * 3), network)
    Classification(behind).train().loss(batch([0, 1, 2, 3], images)).total.backward()

    def norm(block: nn.Module) -> float:
        gradients = [p.grad.flatten() for p in block.parameters()]
        assert all(gradient.abs().max() > 0 for gradient in gradients)
        return torch.cat(gradients).norm().item()

    return {name: norm(network.get_submodule(name)) for name in FIRST + MIDDLE + LAST}


@pytest.mark.parametrize(("start", "factor"), [("he", 1.0), ("lecun", 2.0)])
def test_more_gradient_arrives_in_early_layers(start: str, factor: float) -> None:
    """By a few percent where weights are large enough for the depth; many times over where they let the signal fade."""
    rise = {name: norm / gradient_norms(start, False)[name] for name, norm in gradient_norms(start, True).items()}
    assert min(rise[name] for name in FIRST) > max(factor, 1.02), rise
    assert min(rise[name] for name in MIDDLE) > 1.01, rise
    assert {name: rise[name] for name in LAST} == pytest.approx(dict.fromkeys(LAST, 1.0), rel=1e-4)
