"""A classifier that slides: the convolutional form answers as every window does; boxes and pixels come from its map."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.errors import UsageError
from sightline.models.sliding import as_convolution, detect, score_map, segment, windows

torch.set_num_threads(1)


def classifier() -> nn.Sequential:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 6, 5), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(trunk, nn.Flatten(), nn.Linear(150, 12), nn.Tanh(), nn.Dropout(0.5), nn.Linear(12, 4)).eval()


@pytest.mark.parametrize(
    ("size", "outputs"), [((14, 14), (1, 1)), ((16, 16), (2, 2)), ((28, 28), (8, 8)), ((17, 31), (2, 9))]
)
def test_one_pass_gives_the_answers_of_all_windows(size: tuple[int, int], outputs: tuple[int, int]) -> None:
    network, image = classifier(), torch.randn(3, *size)
    with torch.no_grad():
        slid = score_map(network, image, 14, 2)
        once = as_convolution(network, (3, 14, 14))(image[None])[0]
    assert slid.shape[1:] == outputs
    assert torch.allclose(once[:, : outputs[0], : outputs[1]], slid, atol=1e-5)
    assert once.shape == slid.shape


def test_windows_in_reading_order() -> None:
    image = torch.arange(20.0).view(1, 4, 5)
    every = windows(image, 2, 2)
    assert [w[0, 0, 0].item() for w in every] == [0, 2, 10, 12]
    with pytest.raises(UsageError, match="windows of 6 pixels do not fit into 4x5"):
        windows(image, 6, 1)


def test_boxes_from_a_map() -> None:
    found = torch.zeros(3, 4, 5)
    found[2] = 5.0  # nothing
    found[0, 1, 2] = 9.0
    found[0, 1, 3] = 8.0  # overlaps the better one
    found[1, 3, 0] = 7.0
    found[1, 0, 4] = 5.1  # most probable, but below `least`
    boxes, label, probability = detect(found, 8, 2, least=0.6)
    assert boxes.tolist() == [[4, 2, 12, 10], [0, 6, 8, 14]]
    assert label.tolist() == [0, 1]
    assert probability[0] > probability[1] > 0.6


def test_pixels_from_a_map() -> None:
    found = torch.randn(2, 3, 4)
    pixels = segment(found, 5, 2, (9, 11))
    assert pixels.shape == (2, 9, 11)
    flat = segment(torch.ones(1, 3, 4), 5, 2, (9, 11))
    assert torch.allclose(flat, torch.ones(1, 9, 11))
    odd = segment(found, 5, 3, (11, 14))  # with an odd step the centres are pixels
    assert torch.allclose(odd[:, 2:9:3, 2:12:3], found, atol=1e-6)
    one = segment(found, 5, 1, (7, 8))
    assert torch.equal(one[:, 2:5, 2:6], found)
    assert torch.equal(one[:, 0, 0], found[:, 0, 0])  # the border's scores beyond it
    with pytest.raises(UsageError, match="more windows than the image"):
        segment(found, 5, 3, (9, 9))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Flatten(), nn.Linear(392, 2)), "a layer that pads"),
        (
            nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)),
            "AdaptiveAvgPool2d is no",
        ),
    ],
)
def test_networks_without_a_convolutional_form(network: nn.Sequential, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        as_convolution(network, (3, 14, 14))
