"""What a network's units respond to: exact receptive fields, projections, filters, images that were made, neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.explanation.features.class_images import class_images
from sightline.explanation.features.dream import dream
from sightline.explanation.features.filters import colour_selectivity, first_filters, orientation_selectivity
from sightline.explanation.features.layers import chosen, layer_named, layers_of
from sightline.explanation.features.patches import Viewing, box_of, inside_of, top_patches, unit_map, values_at
from sightline.explanation.features.positions import position_embeddings
from sightline.explanation.features.projection import projections
from sightline.explanation.features.space import neighbours, pca, t_sne
from sightline.explanation.subject import Refused, subject_of
from sightline.models.create import create_model
from sightline.models.describe import describe
from tests.distinct import fill_lively

torch.set_num_threads(1)


def _viewing(network: nn.Module, size: tuple[int, int, int], images: int = 12) -> Viewing:
    torch.manual_seed(3)
    pixels = torch.randint(0, 256, (images, *size), dtype=torch.uint8)
    fill_lively(network.eval(), pixels[:2].float() / 255, seed=1)
    return Viewing(network, lambda x: network(x / 255), pixels)


def _convnet() -> nn.Module:
    """Padding, strides, dilation, a pooling that pads, and a branch."""

    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))
            self.left = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
            self.right = nn.Conv2d(8, 8, 1)
            self.last = nn.Sequential(nn.ReLU(inplace=True), nn.AvgPool2d(2), nn.Conv2d(8, 10, 3), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            return self.last(self.left(x) + self.right(x)).mean((2, 3))

    return Branching()


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "branching": (_convnet, (3, 37, 41)),
    "resnet8": (lambda: create_model("resnet8", num_classes=10), (3, 32, 32)),
    "lenet5": (lambda: create_model("lenet5", num_classes=10), (1, 32, 32)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_boxes_are_exact(name: str) -> None:
    """Every pixel outside changed: equal to the last bit. Any single row or column of the box's edge changed: not equal."""
    build, size = NETWORKS[name]
    viewing = _viewing(build(), size)
    layers = chosen(layers_of(viewing.network, viewing.run, viewing.of([0])))
    found = top_patches(viewing, layers, units=3, patches=5)
    assert {one.layer.name for one in found} == {layer.name for layer in layers} and len(layers) >= 3
    small = 0
    for one in found:
        assert not one.refuted and one.patches
        clean = viewing.of([patch.image for patch in one.patches])
        inside = inside_of(one.patches, size[1:])
        with torch.no_grad():
            before = values_at(unit_map(viewing, one.layer, one.unit, clean), one.patches)
            outside = values_at(
                unit_map(viewing, one.layer, one.unit, torch.where(inside > 0, clean, 255 - clean)), one.patches
            )
            within = values_at(
                unit_map(viewing, one.layer, one.unit, torch.where(inside > 0, 255 - clean, clean)), one.patches
            )
        assert torch.equal(before, outside), one.layer.name
        assert (before != within).all(), one.layer.name
        assert before.tolist() == pytest.approx([patch.value for patch in one.patches], rel=1e-5)
        assert list(before) == sorted(before, reverse=True)
        small += bool((inside.mean((1, 2, 3)) < 1).all())
        assert one.tested == bool((inside.mean((1, 2, 3)) < 1).any())
    assert small >= 6


def test_a_box_is_no_larger_than_it_must_be() -> None:
    """Where every path is linear, each pixel of the box's edge matters."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 5, padding=2))
    viewing = _viewing(network, (1, 30, 30))
    layer = layer_named(layers_of(network, viewing.run, viewing.of([0])), "1")
    for place in ((0, 0), (7, 3), (14, 14)):
        image = viewing.of([0]).requires_grad_()
        (slope,) = torch.autograd.grad(unit_map(viewing, layer, 2, image)[0][place], image)
        rows, columns = torch.where(slope[0, 0] != 0)
        box = box_of(layer, place, (30, 30))
        assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_the_strongest_places_are_found() -> None:
    """A unit that is an image's brightness, pixel by pixel: its patches are the brightest pixels of all images."""
    network = nn.Conv2d(1, 2, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([1.0, 0.0])[:, None, None, None])
    pixels = torch.zeros(6, 1, 8, 8, dtype=torch.uint8)
    for number, (y, x, value) in enumerate([(1, 2, 200), (7, 7, 250), (0, 0, 90), (3, 4, 100), (5, 5, 60)]):
        pixels[number, 0, y, x] = value
    pixels[1, 0, 2, 6] = 240  # a second patch of one image
    viewing = Viewing(nn.Sequential(network), lambda x: network(x), pixels)
    viewing = Viewing(viewing.network, viewing.network, pixels)
    (one,) = top_patches(viewing, layers_of(viewing.network, viewing.run, viewing.of([0])), units=5, patches=4)
    assert one.unit == 0 and one.tested  # the other unit is dead
    assert [(p.image, p.place, p.box, p.value) for p in one.patches] == [
        (1, (7, 7), (7, 7, 8, 8), 250.0),
        (1, (2, 6), (6, 2, 7, 3), 240.0),
        (0, (1, 2), (2, 1, 3, 2), 200.0),
        (3, (3, 4), (4, 3, 5, 4), 100.0),
    ]


class _Excited(nn.Module):
    """A squeeze-excite behind the first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 6, 1), nn.Sigmoid())
        self.second = nn.Conv2d(6, 5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.second(x * self.squeeze(x)).flatten(1)[:, :4]


def test_global_mixing_is_named() -> None:
    viewing = _viewing(_Excited(), (3, 16, 16))
    layers = {layer.name: layer for layer in layers_of(viewing.network, viewing.run, viewing.of([0]))}
    assert layers["first"].whole() == "" and layers["first"].view.height.size == 3
    assert layers["second"].view is None
    assert layers["second"].whole() == (
        "its receptive field is the whole image: a mean over all places in squeeze.0 comes before it"
    )
    (one,) = top_patches(viewing, [layers["second"]], units=1, patches=3)
    assert all(patch.box == (0, 0, 16, 16) for patch in one.patches) and not one.tested
    vit = create_model("vit_ti_16", num_classes=5, small_images=True)
    deep = layers_of(vit, vit, torch.zeros(1, 3, 32, 32))
    assert "whole image: all places are joined" in layer_named(deep, "encoder").whole()
    assert layer_named(deep, "conv_proj").whole() == ""


def test_an_unknown_operation_is_refuted_by_the_test() -> None:
    """The analysis takes a clone with shuffled rows for a pixelwise operation; the test on real patches does not."""

    class Sly(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return torch.from_numpy(np.ascontiguousarray(x.numpy()[:, :, ::-1]))

    class Flipped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            return self.second(x + 0 * x.clone() + _moved(x))

    def _moved(x: torch.Tensor) -> torch.Tensor:
        y = torch.empty_like(x)
        y.copy_(x)  # known, and of the same shape
        y.data.untyped_storage().copy_(x.detach().roll(5, 2).contiguous().untyped_storage())
        return y

    viewing = _viewing(Flipped(), (1, 20, 20))
    layer = layer_named(layers_of(viewing.network, viewing.run, viewing.of([0])), "second")
    assert layer.view is not None
    found = top_patches(viewing, [layer], units=2, patches=3)
    assert all(one.refuted and all(patch.box == (0, 0, 20, 20) for patch in one.patches) for one in found)


def test_names_are_those_of_describe() -> None:
    network = create_model("resnet8", num_classes=10)
    rows = describe(network, input=(3, 32, 32))
    known = {row["name"]: row for row in (*rows["layers"], *rows["modules"])}
    for layer in layers_of(network, network, torch.zeros(1, 3, 32, 32)):
        row = known[layer.name]
        assert row["output"] == list(layer.shape) and row["kind"] == layer.kind
        assert row["receptive_field"] == (None if layer.view is None else layer.view.height.size)
    with pytest.raises(UsageError, match="no layer 'layer9'"):
        layer_named(layers_of(network, network, torch.zeros(1, 3, 32, 32)), "layer9")


def test_a_projection_is_that_of_a_deconvnet() -> None:
    """Against the transposed network written out: unpooling by switches, rectification on the way back, transposed filters."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)
    network = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU())
    viewing = _viewing(network, (2, 12, 12))
    layer = layer_named(layers_of(network, viewing.run, viewing.of([0])), "4")
    (one,) = top_patches(viewing, [layer], units=1, patches=4)
    mapped = projections(viewing, one)
    for patch, own in zip(one.patches, mapped, strict=True):
        with torch.no_grad():
            image = viewing.of([patch.image]) / 255
            pooled, switches = F.max_pool2d(first(image).relu(), 2, return_indices=True)
            back = torch.zeros_like(second(pooled))
            back[0, one.unit, patch.place[0], patch.place[1]] = 1.0
            back = F.conv_transpose2d(back.relu(), second.weight, padding=1)
            back = F.max_unpool2d(back, switches, 2)
            back = F.conv_transpose2d(back.relu(), first.weight, padding=1) / 255
        assert torch.allclose(own, back[0], rtol=1e-4, atol=1e-8 * float(back.abs().max()))
    outside = 1 - inside_of(one.patches, (12, 12))
    assert not (mapped * outside).any() and mapped.any()
    smooth = _viewing(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh()), (1, 12, 12))
    layer = layers_of(smooth.network, smooth.run, smooth.of([0]))[-1]
    with pytest.raises(Refused, match="about ReLUs"):
        projections(smooth, top_patches(smooth, [layer], units=1)[0])


def test_the_network_is_left_as_it_was() -> None:
    viewing = _viewing(create_model("resnet8", num_classes=10), (3, 32, 32))
    network = viewing.network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    layers = chosen(layers_of(network, viewing.run, viewing.of([0])))
    for one in top_patches(viewing, layers, units=1):
        projections(viewing, one)
    dream(viewing, layers[0], viewing.of([0]), octaves=1, steps=1)
    assert network.training and all(p.grad is None and p.requires_grad for p in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_filters_tell_edges_from_blobs_and_colour_from_grey() -> None:
    y, x = np.mgrid[-3:4, -3:4].astype(float)
    grating = np.sin(1.5 * (0.6 * x + 0.8 * y))
    blob = np.exp(-(x**2 + y**2) / 3)
    weights = np.stack([np.stack([grating] * 3), np.stack([blob] * 3), np.stack([blob, -blob, 0 * blob])])
    edges = orientation_selectivity(weights)
    assert edges[0] > 0.7 and edges[1] < 0.1 and edges[2] < 0.1
    assert colour_selectivity(weights).tolist() == pytest.approx([0, 0, 1])
    turned = orientation_selectivity(np.rot90(weights, axes=(2, 3)))
    assert turned == pytest.approx(edges, abs=0.02)


def test_the_first_layer_is_found() -> None:
    found = first_filters(net := create_model("resnet8", num_classes=10), net, torch.zeros(1, 3, 32, 32))
    assert found.layer == "conv1" and np.array_equal(found.weights, net.conv1.weight.detach().numpy())
    mlp = nn.Sequential(nn.Flatten(), nn.Linear(48, 7), nn.ReLU(), nn.Linear(7, 2))
    dense = first_filters(mlp, mlp, torch.zeros(1, 3, 4, 4))
    assert dense.weights.shape == (7, 3, 4, 4) and np.array_equal(dense.weights.reshape(7, -1), mlp[1].weight.detach())
    vit = create_model("vit_ti_16", num_classes=5, small_images=True)
    parts = first_filters(vit, vit, torch.zeros(1, 3, 32, 32))
    assert (
        parts.weights.shape == (28, 3, 4, 4)
        and sum(parts.shares) < 1
        and parts.shares == tuple(sorted(parts.shares)[::-1])
    )
    flat = parts.weights.reshape(28, -1)
    assert np.allclose(flat @ flat.T, np.eye(28), atol=1e-5)
    single = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten())
    with pytest.raises(Refused, match="single pixels"):
        first_filters(single, single, torch.zeros(1, 3, 8, 8))


def test_a_class_image_beats_every_real_one_and_is_measured_as_rounded() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 36, 4)
    )
    subject = subject_of(network)
    pixels = torch.randint(0, 256, (40, 1, 12, 12)).float()
    with torch.no_grad():
        scores = subject.scores(pixels)
    mean = pixels.mean(0)
    energy = float(((pixels - mean) / 255).flatten(1).square().sum(1).mean())
    found = class_images(subject, torch.tensor([2, 0]), scores, mean, energy, steps=40)
    for one in found:
        with torch.no_grad():
            real = subject.scores(one.image[None].float())[0]
        assert one.image.dtype == torch.uint8 and one.reached and one.best == float(scores[:, one.target].max())
        assert float(real[one.target]) == pytest.approx(one.score, rel=1e-5) and real.argmax() == one.target
        assert scores[one.of, one.target] == one.best
    again = class_images(subject, torch.tensor([2, 0]), scores, mean, energy, steps=40)
    assert all(torch.equal(a.image, b.image) for a, b in zip(found, again, strict=True))
    tame, free = (
        class_images(subject, torch.tensor([2]), scores, mean, energy, steps=40, weight=weight)[0]
        for weight in (4.0, 0.0)
    )
    assert tame.penalty == pytest.approx(4 * found[0].penalty) and tame.reached and free.score > tame.score
    assert (tame.image - mean).square().mean() < 0.9 * (free.image - mean).square().mean()  # λ holds it near the mean


def test_a_dream_rises_in_every_octave() -> None:
    viewing = _viewing(create_model("lenet5", num_classes=10), (1, 32, 32))  # of one fixed size
    layer = layer_named(layers_of(viewing.network, viewing.run, viewing.of([0])), "conv2")
    found = dream(viewing, layer, viewing.of([3]), steps=4)
    assert [octave.size for octave in found.octaves] == [(32, 32), (45, 45), (63, 63)] and found.rising
    assert found.image.shape == (1, 63, 63) and found.image.dtype == torch.uint8
    with torch.no_grad():
        norm = unit_norm(viewing, layer.name, viewing.of([3]))
    assert found.octaves[0].before == pytest.approx(norm, rel=1e-5)


def unit_norm(viewing: Viewing, name: str, image: torch.Tensor) -> float:
    kept: list[torch.Tensor] = []
    handle = viewing.network.get_submodule(name).register_forward_hook(lambda m, i, o: kept.append(o))
    viewing.run(image)
    handle.remove()
    return float(kept[0].square().mean().sqrt())


def test_neighbours_and_planes() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 20)) * 10
    label = np.arange(30) % 3
    vectors = (centres[label] + rng.normal(size=(30, 20))).astype(np.float32)
    found = neighbours(vectors, vectors, itself=True)
    assert found.index.shape == (30, 6) and (label[found.index] == label[:, None]).all()
    assert not (found.index == np.arange(30)[:, None]).any() and (np.diff(found.distance) >= 0).all()
    exact = np.linalg.norm(vectors[0].astype(float) - vectors[found.index[0, 0]], axis=0)
    assert found.distance[0, 0] == pytest.approx(np.linalg.norm(exact))
    plane = pca(vectors)
    assert 0.5 < plane.explained <= 1 and plane.points.std(0)[0] >= plane.points.std(0)[1]
    map_ = t_sne(vectors)
    assert np.array_equal(map_.points, t_sne(vectors).points)
    nearest = neighbours(map_.points, map_.points, 1, itself=True).index[:, 0]
    assert (label[nearest] == label).all()


class _Named(nn.Module):
    """As timm names its embedding, with a class token ahead."""

    def __init__(self, grid: int) -> None:
        super().__init__()
        y, x = torch.meshgrid(torch.arange(grid) * 0.5, torch.arange(grid) * 0.5, indexing="ij")
        places = torch.stack([y.sin(), y.cos(), x.sin(), x.cos()], -1).flatten(0, 1)
        self.pos_embed = nn.Parameter(torch.cat([torch.zeros(1, 4), places])[None])


def test_position_embeddings_are_found_without_a_name() -> None:
    found = position_embeddings(_Named(6), (48, 48))
    assert found.name == "pos_embed" and found.ahead == 1 and found.similarity.shape == (6, 6, 6, 6)
    assert found.similarity[2, 3, 2, 3] == pytest.approx(1)
    assert found.similarity[2, 3, 2, 4] == pytest.approx((1 + np.cos(0.5)) / 2, abs=1e-5)
    for position in ("learned_1d", "learned_2d", "sinusoid"):
        vit = create_model("vit_ti_16", num_classes=5, small_images=True, position=position)
        own = position_embeddings(vit, (32, 32))
        assert own.similarity.shape == (8, 8, 8, 8), position
        rows = own.similarity.diagonal(dim1=0, dim2=2).diagonal(dim1=0, dim2=1)
        assert torch.allclose(rows, torch.ones(8, 8), atol=1e-5)
    relative = create_model("vit_ti_16", num_classes=5, small_images=True, position="relative")
    with pytest.raises(Refused, match="relative"):
        position_embeddings(relative, (32, 32))
    plain = create_model("resnet8", num_classes=10)
    with pytest.raises(Refused, match="no position embeddings"):
        position_embeddings(plain, (32, 32))
