"""What SegNet, DeepLab v3 and scene labelling are made of: unpooling, dilation without a change of weights, bands of detail."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.convolution.atrous import AtrousPyramid
from sightline.layers.convolution.laplacian import collapse, halved, laplacian_pyramid
from sightline.layers.convolution.partial import PartialConvolution
from sightline.layers.convolution.upsampling import bicubic, trilinear
from sightline.layers.normalisation import local_contrast
from sightline.models.create import create_model, outline
from sightline.models.pixels.backbones import backbone, dilate
from sightline.models.pixels.farabet import chosen, yuv

torch.set_num_threads(1)


def count(name: str, **options: object) -> int:
    return sum(p.numel() for p in outline(name, **options).parameters())


def test_parameters() -> None:
    """SegNet: 29.45 M (arXiv:1511.00561, table 6). The others by hand from their papers' layers."""
    convolutions = [
        (3, 64),
        (64, 64),
        (64, 128),
        (128, 128),
        (128, 256),
        *[(256, 256)] * 2,
        (256, 512),
        *[(512, 512)] * 5,
    ]
    up = [*[(512, 512)] * 5, (512, 256), *[(256, 256)] * 2, (256, 128), (128, 128), (128, 64), (64, 64)]
    layers = sum(9 * i * o + 3 * o for i, o in (*convolutions, *up))  # kernel, bias, the norm's scale and shift
    assert count("segnet") == layers + 9 * 64 * 11 + 11 == 29_449_355
    assert count("segnet_basic") == 49 * (3 * 64 + 7 * 64 * 64) + 8 * 2 * 64 + 65 * 11 == 1_416_075
    filters = (49 * (10 + 6 * 2) + 16) + (49 * 64 * 8 + 64) + (49 * 256 * 32 + 256)
    assert count("farabet") == filters + 768 * 1024 + 1024 + 1025 * 11 == 1_226_641
    assert count("farabet", linear=True) == filters + 769 * 11
    assert count("deeplabv3_resnet50") == 39_638_869 + 0  # 21 classes, without the auxiliary head
    pyramid = 2048 * 256 * (1 + 3 * 9 + 1) + 5 * 256 * 256 + 6 * 2 * 256
    assert sum(p.numel() for p in outline("deeplabv3_resnet50").classifier[0].parameters()) == pyramid


def test_unpooling_remembers_places() -> None:
    """A pixel moved within its pooling window moves in the decoder's input, though the pooled map stays the same."""
    network = create_model("segnet_basic", num_classes=2, width=2, kernel=1, depth=1).eval()
    for layer in network.modules():  # a network that passes its image through
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.5)
    x = torch.zeros(1, 3, 4, 4)
    x[0, :, 1, 2] = 1.0
    with torch.no_grad():
        scores = network(x)[0, 0]
    assert scores.nonzero().tolist() == [[1, 2]]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "mobilenet_v2"])
@pytest.mark.parametrize("stride", [8, 16])
def test_dilation_keeps_the_answers_of_the_strided_trunk(name: str, stride: int) -> None:
    """Every n-th pixel of the dilated map is the strided map: the same weights read the same pixels."""
    torch.manual_seed(0)
    plain = backbone(name).eval().double()
    dilated = backbone(name).eval().double()
    dilated.load_state_dict(plain.state_dict())
    dilate(dilated.float(), name, stride)
    dilated.double()
    x = torch.randn(1, 3, 128, 128, dtype=torch.float64)
    with torch.no_grad():
        coarse, fine = plain.features(x), dilated.features(x)
    for a, b in zip(coarse, fine, strict=True):
        step = b.shape[2] // a.shape[2]
        assert 128 // b.shape[2] <= stride
        assert step == max(128 // a.shape[2] // stride, 1)
        assert (a - b[:, :, ::step, ::step]).abs().max() <= 1e-9 * a.abs().max()
        assert a.abs().max() > 0
    last = fine[-1]
    assert (last[:, :, 1::2, 1::2] - last[:, :, ::2, ::2]).abs().max() > 0.01 * last.abs().max()


def test_a_pooling_cannot_dilate() -> None:
    with pytest.raises(UsageError, match=r"vgg11 pools beyond an output stride of 8"):
        create_model("deeplabv3_backbone", backbone="vgg11", output_stride=8)


def test_the_pyramid_takes_a_batch_of_one() -> None:
    pyramid = AtrousPyramid(4, (2, 3), 8).train()
    pyramid(torch.randn(1, 4, 9, 7)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in pyramid.parameters())
    norm = pyramid.convs[-1][2]
    assert norm.num_batches_tracked == 0  # one value a channel says nothing of their spread
    pyramid(torch.randn(2, 4, 9, 7))
    assert norm.num_batches_tracked == 1


def test_bands_add_up_to_the_image() -> None:
    x = torch.randn(2, 3, 37, 50, dtype=torch.float64)
    bands = laplacian_pyramid(x, 3)
    assert [tuple(b.shape[2:]) for b in bands] == [(37, 50), (19, 25), (10, 13)]
    assert torch.allclose(collapse(bands), x)
    flat = laplacian_pyramid(torch.full((1, 1, 16, 16), 3.0), 3)
    assert max(b.abs().max() for b in flat[:-1]) < 1e-5  # no detail
    assert torch.allclose(flat[-1], torch.full((1, 1, 4, 4), 3.0))
    assert torch.allclose(halved(x)[:, :, 5, 5], by_hand(x, 10, 10))


def by_hand(x: torch.Tensor, i: int, j: int) -> torch.Tensor:
    tap = torch.tensor([1, 4, 6, 4, 1], dtype=x.dtype) / 16
    return torch.einsum("bcij,i,j->bc", x[:, :, i - 2 : i + 3, j - 2 : j + 3], tap, tap)


def test_patches_have_no_mean_and_unit_deviation() -> None:
    x = 5 + 2 * torch.randn(1, 2, 64, 64, dtype=torch.float64)
    y = local_contrast(x)
    assert y.mean().abs() < 0.05
    assert abs(y.std().item() - 1) < 0.1
    assert torch.allclose(local_contrast(3 * x + 7), y)  # neither brightness nor contrast changes it
    assert local_contrast(torch.full((1, 1, 20, 20), 9.0)).abs().max() == 0


def test_which_maps_scene_labelling_reads() -> None:
    first, second, third = (m for m in create_model("farabet").network if isinstance(m, PartialConvolution))
    assert first.table == ((0,),) * 10 + ((1, 2),) * 6
    assert {len(row) for row in second.table} == {8}
    assert {len(row) for row in third.table} == {32}
    assert len(set(third.table)) == 256
    assert {m for row in second.table for m in row} == set(range(16))
    assert chosen(16, 8, 64)[0] == second.table[0]
    grey = torch.full((1, 3, 2, 2), 0.7)
    assert torch.allclose(yuv(grey), torch.tensor([0.7, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2), atol=1e-6)


def test_the_same_weights_at_each_scale() -> None:
    """An answer to a large pattern comes from the coarse scales, through weights that know it from the fine one."""
    network = create_model("farabet", linear=True, num_classes=3).eval()
    x = torch.zeros(1, 3, 256, 256)
    x[:, :, 128:] = 1.0  # an edge
    near, far = (slice(None), slice(None), slice(96, 112), slice(100, 140)), (..., slice(8, 16), slice(100, 140))
    with torch.no_grad():
        scores, flat = network(x), network(torch.zeros_like(x))
    assert (scores - flat)[near].abs().max() > 1e-3  # 46 pixels of the coarsest scale are 184 of the image
    assert (scores - flat)[far].abs().max() < 0.1 * (scores - flat)[near].abs().max()


def test_named_modes_are_torchs() -> None:
    x, volume = torch.randn(2, 3, 6, 7), torch.randn(1, 2, 3, 4, 5)
    cubic = F.interpolate(x, size=(11, 20), mode="bicubic", align_corners=False)
    assert torch.equal(bicubic(x, (11, 20)), cubic)
    linear = F.interpolate(volume, size=(6, 8, 7), mode="trilinear", align_corners=False)
    assert torch.equal(trilinear(volume, (6, 8, 7)), linear)
    line = torch.tensor([[[[0.0, 0, 1, 1]]]])
    assert bicubic(line, (1, 16)).max() > 1  # it overshoots at an edge
    step = torch.zeros(1, 1, 2, 1, 1)
    step[:, :, 1] = 1.0
    assert trilinear(step, (4, 1, 1)).flatten().tolist() == [0, 0.25, 0.75, 1]
