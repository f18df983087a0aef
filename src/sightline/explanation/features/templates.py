"""What a model says of itself as pictures: pipelines that are solved, and linear classifiers."""

from __future__ import annotations

from torch import nn

from sightline.explanation.subject import Refused
from sightline.structures.learned import Gallery


def templates(network: nn.Module) -> list[Gallery]:
    """Of the first module that has `galleries` or `templates`. Refused where there is none."""
    for module in network.modules():
        if galleries := getattr(module, "galleries", None):
            if found := galleries():
                return list(found)
            raise Refused("this pipeline has learned nothing that can be drawn", "see activations")
        if shown := getattr(module, "templates", None):
            tiles = shown().cpu().double().numpy()[:, None]
            return [Gallery("Templates", "The weights of each class as an image; grey is 0.", tiles, signed=True)]
    raise Refused("this network has no templates", "see filters")
