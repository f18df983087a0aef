"""LeNet-5 and the CIFAR ResNets against the same networks written a second time, as flat functions of their weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.models.create import create_model
from tests.distinct import fill_distinct

torch.set_num_threads(1)
State = dict[str, Tensor]


def norm(state: State, name: str, x: Tensor) -> Tensor:
    values = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, *values, training=False)


def cifar_resnet(state: State, x: Tensor, blocks: int) -> Tensor:
    """He et al. 2015, section 4.2, shortcuts A with the zeros on both sides."""
    x = norm(state, "bn1", F.conv2d(x, state["conv1.weight"], padding=1)).relu()
    for stage, width in enumerate((16, 32, 64), 1):
        for block in range(blocks):
            name, grows = f"layer{stage}.{block}", stage > 1 and block == 0
            y = F.conv2d(x, state[f"{name}.conv1.weight"], stride=2 if grows else 1, padding=1)
            y = norm(state, f"{name}.bn1", y).relu()
            y = norm(state, f"{name}.bn2", F.conv2d(y, state[f"{name}.conv2.weight"], padding=1))
            if grows:
                zeros = torch.zeros_like(y[:, : width // 4])
                x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)
            x = (y + x).relu()
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


def lenet5(state: State, x: Tensor) -> Tensor:
    for name in ("conv1", "conv2", "conv3"):
        x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"]).tanh()
        x = F.avg_pool2d(x, 2) if name != "conv3" else x.flatten(1)
    x = F.linear(x, state["fc1.weight"], state["fc1.bias"]).tanh()
    return F.linear(x, state["fc2.weight"], state["fc2.bias"])


@pytest.mark.parametrize(("layers", "size"), [(8, (32, 32)), (20, (32, 32)), (20, (33, 27)), (56, (32, 32))])
@torch.no_grad()
def test_cifar_resnets(layers: int, size: tuple[int, int]) -> None:
    network = create_model(f"resnet{layers}").double().eval()
    fill_distinct(network, seed=2)
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = cifar_resnet(network.state_dict(), x, (layers - 2) // 6)
    assert 0.1 < expected.abs().max() < 100
    assert torch.allclose(network(x), expected, rtol=1e-10, atol=1e-12)


@torch.no_grad()
def test_lenet5() -> None:
    network = create_model("lenet5").double()
    fill_distinct(network, seed=2)
    x = torch.randn(2, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(network(x), lenet5(network.state_dict(), x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("layers", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)  # He et al. 2015, table 6
def test_published_sizes(layers: int, millions: float) -> None:
    count = sum(p.numel() for p in create_model(f"resnet{layers}").parameters())
    digits = 1 if layers == 110 else 2
    assert round(count / 1e6, digits) == millions
