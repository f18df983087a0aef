"""DETR: Carion, Massa, Synnaeve, Usunier, Kirillov & Zagoruyko 2020, "End-to-end object detection with transformers"
(arXiv:2005.12872).

A trunk's last map, at stride 32, becomes tokens; an encoder lets them read one another; a decoder turns a hundred learned
queries into as many answers, each a class or "no object" and a box. There are no anchors and no suppression: while it
trains, each object is matched with one query, so that a second box for it is a mistake.

Parameter names are those of facebookresearch/detr, whose state dicts load. Its trunk's batch norms are frozen: their four
vectors are buffers. Trained from scratch they would leave the trunk without norms, so the
variant for that has group norms.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.normalisation import freeze_batchnorm
from sightline.models.boxes.faster_rcnn import pad_and_mask
from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import BasicBlock, Bottleneck, ResNet
from sightline.models.sizes import require_at_least
from sightline.structures.outputs.sets import SetOutputs

from .layers import Size, Transformer, sine_positions

STRIDE = 32


class Trunk(NamedTuple):
    """The block and the depths of a ResNet, and its norm."""

    block: type[BasicBlock] | type[Bottleneck]
    depths: tuple[int, int, int, int]
    norm: Literal["frozen", "group"]


class _Body(nn.Module):
    """Under the authors' name: `backbone.0.body`."""

    def __init__(self, body: ResNet) -> None:
        super().__init__()
        self.body = body


class _Boxes(nn.Module):
    """Three dense layers: a query's answer → centre and size of its box, before the sigmoid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList((nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 4)))

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n 4"]:
        """(…, d) → (…, 4)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class Detr(nn.Module):
    """Normalised images (b, c, h, w) → SetOutputs.

    queries            the largest number of objects of an image
    width, heads       of the tokens; `hidden` the width inside of each MLP
    encoder, decoder   layers
    """

    def __init__(
        self,
        trunk: Trunk,
        *,
        in_channels: int = 3,
        num_classes: int = 91,
        queries: int = 100,
        width: int = 256,
        heads: int = 8,
        hidden: int = 2048,
        encoder: int = 6,
        decoder: int = 6,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if num_classes < 1:
            raise UsageError("a detector needs at least one class", "set num_classes=1 or more")
        if width % 4:
            raise UsageError(f"width={width} has no whole number of sines for rows and columns", "use a multiple of 4")
        self.input_size = (in_channels, 800, 800)
        norm: Literal["batch", "group"] = "group" if trunk.norm == "group" else "batch"
        body = ResNet(trunk.block, trunk.depths, in_channels=in_channels, num_classes=0, norm=norm)
        if trunk.norm == "frozen":
            freeze_batchnorm(body)
        self.channels, self.width = body.channels, width
        self.transformer = Transformer(Size(width, heads, hidden, dropout), encoder, decoder)
        self.class_embed = nn.Linear(width, num_classes + 1)
        self.bbox_embed = _Boxes(width)
        self.query_embed = nn.Embedding(queries, width)
        self.input_proj = nn.Conv2d(body.channels[-1], width, 1)
        self.backbone = nn.ModuleList([_Body(body)])

    def features(self, image: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The trunk's maps at strides 4, 8, 16, 32 with `self.channels` channels."""
        trunk = cast(_Body, self.backbone[0])
        return trunk.body.features(image)

    def forward(self, image: Float[Tensor, "b c h w"], size: Int[Tensor, "b 2"] | None = None) -> SetOutputs:
        """(b, c, h, w) → the answers of all layers of the decoder. `size` (b, 2) is each image's height and width without
        padding; None: no image is padded."""
        require_at_least(image, self.input_size[0], 1)
        if size is None:
            edges = torch.tensor(image.shape[2:], device=image.device).expand(image.shape[0], 2)
        else:
            edges = size
        whole = pad_and_mask(image, edges)
        last = self.input_proj(self.features(whole)[-1])  # (b, d, h, w)
        cells, pixels = ((int(x.shape[2]), int(x.shape[3])) for x in (last, whole))
        padding = padded_cells(edges, cells, pixels)
        tokens = last.flatten(2).transpose(1, 2)  # (b, h · w, d)
        position = sine_positions(padding, self.width, tokens.dtype)
        every = torch.arange(self.query_embed.num_embeddings, device=image.device)
        query = self.query_embed(every).expand(image.shape[0], -1, -1)  # (b, q, d)
        answers = self.transformer(tokens, position, query, padding.flatten(1))
        places = self.bbox_embed(answers).float().sigmoid()
        scale = edges.flip(1).repeat(1, 2)[:, None]  # (b, 1, 4): w, h, w, h
        centre, half = places[-1][..., :2], places[-1][..., 2:] / 2
        boxes = torch.cat((centre - half, centre + half), -1) * scale
        return SetOutputs(boxes, self.class_embed(answers), places)


def padded_cells(size: Int[Tensor, "b 2"], cells: tuple[int, int], pixels: tuple[int, int]) -> Bool[Tensor, "b h w"]:
    """Cells of the map whose pixel lies in the padding: as the authors' mask, resized to the nearest pixel."""
    down, across = (
        torch.arange(cells[i], device=size.device) * pixels[i] // cells[i] >= size[:, i : i + 1] for i in (0, 1)
    )
    return down[:, :, None] | across[:, None]


@MODELS.under("boxes")
def detr_resnet50(**options) -> Detr:
    """DETR on a ResNet-50 (Carion et al. 2020, arXiv:2005.12872), its batch norms frozen.

    41.5 M parameters at (3, 800, 800).
    """
    return Detr(Trunk(Bottleneck, (3, 4, 6, 3), "frozen"), **options)


@MODELS.under("boxes")
def detr_resnet18(**options) -> Detr:
    """DETR (Carion et al. 2020, arXiv:2005.12872) on a ResNet-18 with group norm, for training from scratch.

    28.9 M parameters at (3, 800, 800).
    """
    return Detr(Trunk(BasicBlock, (2, 2, 2, 2), "group"), **options)
