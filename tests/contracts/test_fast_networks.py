"""The networks of the fast recipes: their starts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sightline.errors import UsageError
from sightline.models import create_model


def correlated(n: int = 40) -> torch.Tensor:
    noise = torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return noise.cumsum(3) * 0.3 + noise.mean(1, keepdim=True)


def test_the_first_layer_whitens_the_patches_of_the_training_images() -> None:
    """Without the constant added to the eigenvalues the second moments would be exactly the identity."""
    network, images = create_model("airbench94"), correlated()
    network.start_from(images)
    maps = network.whitening(images)
    assert torch.equal(maps[:, :12], -maps[:, 12:])
    flat = maps[:, :12].permute(1, 0, 2, 3).flatten(1).double()
    moments = (flat @ flat.T / flat.shape[1]).detach().numpy()
    patches = images.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).double().numpy()
    values = np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1]
    assert np.allclose(moments, np.diag(values / (values + 5e-4)), atol=1e-5)
    before = create_model("airbench94").whitening(images)[:, :12].permute(1, 0, 2, 3).flatten(1)
    assert (before @ before.T / before.shape[1]).fill_diagonal_(0).abs().max() > 0.1


def test_the_start_is_the_same_for_the_same_images() -> None:
    one, other = create_model("airbench94", seed=1), create_model("airbench94", seed=2)
    assert not torch.equal(one.whitening.weight, other.whitening.weight)
    one.start_from(correlated())
    other.start_from(correlated())
    assert torch.equal(one.whitening.weight, other.whitening.weight)


def test_convolutions_start_as_identities() -> None:
    network = create_model("airbench94")
    x = torch.randn(2, 64, 8, 8)
    assert torch.equal(network.groups[0].conv2(x), x)
    assert torch.equal(network.groups[1].conv1(x)[:, :64], x)
    assert not torch.equal(create_model("airbench94", identity=False).groups[0].conv2(x), x)


def test_counts() -> None:
    parameters = {
        name: sum(p.numel() for p in create_model(name).parameters()) for name in ("airbench94", "fast_convnet")
    }
    assert parameters == {"airbench94": 1_972_504, "fast_convnet": 46_714}


def test_too_small_an_image_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 8x8 pixels, not 6x28"):
        create_model("fast_convnet", image_size=(6, 28))
