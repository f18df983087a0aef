"""Vision Transformers: an image as a sequence of patches, read by a Transformer without any prior for images.

    ViT     Dosovitskiy et al. 2020    arXiv:2010.11929    B, L: 12 blocks of width 768, 24 of 1024
    DeiT    Touvron et al. 2020        arXiv:2012.12877    Ti, S: 12 blocks of width 192, 384; no extra data needed

    patch → dense layer → + position, a class token ahead → blocks → norm → the class token → head

    block:  x + attention(norm(x)),  then  x + MLP(norm(x));  the MLP has a hidden layer of 4 · width with GELU

`vit_b_16` has patches of 16 pixels. Parameter names are torchvision's except for the positions' (`as_torchvision`,
`as_timm`). As there, norms use ε = 1e-6, GELU is exact ("gelu" of `layers.activations` is the tanh approximation),
there is no hidden layer before the head (the paper has one in pre-training), and initialisation is the same: patches
with variance 1 / fan-in, positions with deviation 0.02, MLPs, queries, keys and values from Glorot & Bengio's uniform.
Only the head has deviation 0.02, as in DeiT; torchvision's is 0, so that nothing below it gets gradient in the first
step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.patches import as_map, as_tokens, patch_convolution, patch_grid
from sightline.layers.attention.positions import Layout, Position, RelativeBias, position_embedding
from sightline.layers.dropout import require_share
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_exactly


class Size(NamedTuple):
    """Width of the tokens, number of blocks, and number of attention heads."""

    width: int
    depth: int
    heads: int


TINY, SMALL = Size(192, 12, 3), Size(384, 12, 6)
BASE, LARGE = Size(768, 12, 12), Size(1024, 24, 16)


class Encoder(nn.Module):
    """The encoder: position embeddings, blocks, a last norm; tokens → tokens."""

    def __init__(
        self, depth: int, layout: Layout, *, position: Position, inject: str, dropout: float, stochastic_depth: float
    ) -> None:
        super().__init__()
        if position == "none" and inject != "stem":
            raise UsageError(
                f"without positions there is nothing to inject in {inject}", "set position to another than none"
            )
        self.only_first = inject == "stem"
        tables = depth if inject == "every_layer" else 1
        self.positions = nn.ModuleList(position_embedding(position, layout) for _ in range(tables))
        self.dropout = nn.Dropout(dropout)
        rates = (stochastic_depth * i / max(depth - 1, 1) for i in range(depth))
        blocks = (EncoderBlock(layout.width, layout.heads, dropout=dropout, skip=rate) for rate in rates)
        self.layers = nn.Sequential(OrderedDict((f"encoder_layer_{i}", block) for i, block in enumerate(blocks)))
        self.ln = nn.LayerNorm(layout.width, eps=1e-6)

    def add_positions(self, x: Float[Tensor, "b n d"], layer: int) -> tuple[Tensor, Tensor | None]:
        """The input of a block: tokens with their positions, and its attention bias where positions are relative."""
        position: nn.Module = self.positions[min(layer, len(self.positions) - 1)]
        if isinstance(position, RelativeBias):
            return (self.dropout(x) if layer == 0 else x), position()
        if layer == 0:
            return self.dropout(position(x)), None
        return (x if self.only_first else position(x)), None

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Tokens (b, n, d) → (b, n, d)."""
        for layer, block in enumerate(self.layers):
            x = block(*self.add_positions(x, layer))
        return self.ln(x)

    def attention(self, x: Float[Tensor, "b n d"]) -> list[Float[Tensor, "b heads n n"]]:
        """The attention weights of each block."""
        maps = []
        for layer, block in enumerate(self.layers):
            assert isinstance(block, EncoderBlock)
            block_input, bias = self.add_positions(x, layer)
            maps.append(block.attention(block_input, bias))
            x = block(block_input, bias)
        return maps


class VisionTransformer(nn.Module):
    """Maps images of one size to class scores, or to the map of patches and the vector of the image.

    image_size         (height, width) of all its images, multiples of the patch. (): as published, 224x224
    small_images       for images of about 32 pixels: patches of 4, published size 32x32
    position           the position embedding, see `layers.attention.positions`
    inject             where positions are added (appendix D.4): before the first block (stem); before every block, with
                       embeddings of its own (every_layer) or shared ones (every_layer_shared). Relative ones act in every
                       block, shared unless every_layer. With a class token, relative ones of the last block get no
                       gradient: only the class token is read, and it has no place
    pool               the input of the head: a class token (cls), or without one the mean of all patches (mean)
    dropout            after the positions and every dense layer except those of queries, keys and values
    stochastic_depth   rate of the last block, rising linearly from 0 at the first; DeiT trains with 0.1
    """

    def __init__(
        self,
        size: Size,
        patch: int,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        image_size: tuple[int, ...] = (),
        small_images: bool = False,
        position: Position = "learned_1d",
        inject: Literal["stem", "every_layer", "every_layer_shared"] = "stem",
        pool: Literal["cls", "mean"] = "cls",
        dropout: float = 0.0,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        require_share(dropout)
        patch, published = (4, (32, 32)) if small_images else (patch, (224, 224))
        if len(image_size) not in (0, 2):
            raise UsageError(
                f"image_size={image_size} is not a height and a width", "pass two numbers, such as 224,224"
            )
        height, width = image_size or published
        self.input_size = (in_channels, height, width)
        self.channels = (size.width, size.width)
        self.grid = patch_grid((height, width), patch)
        self.conv_proj = patch_convolution(in_channels, size.width, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, size.width)) if pool == "cls" else None
        layout = Layout(self.grid, size.width, size.heads, ahead=0 if self.class_token is None else 1)
        self.encoder = Encoder(
            size.depth, layout, position=position, inject=inject, dropout=dropout, stochastic_depth=stochastic_depth
        )
        head = nn.Linear(size.width, num_classes) if num_classes else nn.Identity()
        self.heads = nn.Sequential(OrderedDict(head=head))
        if isinstance(head, nn.Linear):
            nn.init.trunc_normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def tokens(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        """The tokens (b, n, d) before positions: the class token, if any, and the patches."""
        require_exactly(x, *self.input_size)
        tokens = as_tokens(self.conv_proj(x))  # (b, h/p · w/p, d)
        if self.class_token is None:
            return tokens
        return torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], 1)  # (b, 1 + h/p · w/p, d)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b d _ _"]]:
        """The last block's patches as a map at the patch's stride, and the vector that the head reads."""
        tokens = self.encoder(self.tokens(x))  # (b, n, d)
        ahead = 0 if self.class_token is None else 1
        vector = tokens.mean(1) if self.class_token is None else tokens[:, 0]  # (b, d)
        return [as_map(tokens[:, ahead:], self.grid), vector[:, :, None, None]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.heads(self.features(x)[-1].flatten(1))

    def attention(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b heads n n"]]:
        """Attention weights (b, heads, n, n) of each block: how much each token (row) reads from each (column)."""
        return self.encoder.attention(self.tokens(x))


def as_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state dict under the names used here, including its older files with other names for MLP layers."""
    return _renamed(
        state,
        {
            "encoder.pos_embedding": "encoder.positions.0.weight",
            ".mlp.linear_1.": ".mlp.0.",
            ".mlp.linear_2.": ".mlp.3.",
        },
    )


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's and DeiT's state dict under the names used here."""
    return _renamed(
        state,
        {
            "cls_token": "class_token",
            "pos_embed": "encoder.positions.0.weight",
            "patch_embed.proj.": "conv_proj.",
            "blocks.": "encoder.layers.encoder_layer_",
            ".norm1.": ".ln_1.",
            ".norm2.": ".ln_2.",
            ".attn.qkv.": ".self_attention.in_proj_",
            ".attn.proj.": ".self_attention.out_proj.",
            ".mlp.fc1.": ".mlp.0.",
            ".mlp.fc2.": ".mlp.3.",
            "norm.": "encoder.ln.",
            "head.": "heads.head.",
        },
    )


def _renamed(state: Mapping[str, Tensor], parts: Mapping[str, str]) -> dict[str, Tensor]:
    renamed = {}
    for key, x in state.items():
        for theirs, ours in parts.items():
            key = key.replace(theirs, ours)
        renamed[key] = x
    return renamed


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def vit_ti_16(**options) -> VisionTransformer:
    """ViT-Ti/16, Touvron et al. 2020, arXiv:2012.12877, table 1: 5.7 M parameters at (3, 224, 224)."""
    return VisionTransformer(TINY, 16, **options)


@MODELS.register
def vit_ti_32(**options) -> VisionTransformer:
    """ViT-Ti/32, Touvron et al. 2020, arXiv:2012.12877; patches of 32 are not in the paper.

    6.1 M parameters at (3, 224, 224).
    """
    return VisionTransformer(TINY, 32, **options)


@MODELS.register
def vit_s_16(**options) -> VisionTransformer:
    """ViT-S/16, Touvron et al. 2020, arXiv:2012.12877, table 1: 22.1 M parameters at (3, 224, 224)."""
    return VisionTransformer(SMALL, 16, **options)


@MODELS.register
def vit_s_32(**options) -> VisionTransformer:
    """ViT-S/32, Touvron et al. 2020, arXiv:2012.12877; patches of 32 are not in the paper.

    22.9 M parameters at (3, 224, 224).
    """
    return VisionTransformer(SMALL, 32, **options)


@MODELS.register
def vit_b_16(**options) -> VisionTransformer:
    """ViT-B/16, Dosovitskiy et al. 2020, arXiv:2010.11929, table 1: 86.6 M parameters at (3, 224, 224)."""
    return VisionTransformer(BASE, 16, **options)


@MODELS.register
def vit_b_32(**options) -> VisionTransformer:
    """ViT-B/32, Dosovitskiy et al. 2020, arXiv:2010.11929, table 1: 88.2 M parameters at (3, 224, 224)."""
    return VisionTransformer(BASE, 32, **options)


@MODELS.register
def vit_l_16(**options) -> VisionTransformer:
    """ViT-L/16, Dosovitskiy et al. 2020, arXiv:2010.11929, table 1: 304.3 M parameters at (3, 224, 224)."""
    return VisionTransformer(LARGE, 16, **options)


@MODELS.register
def vit_l_32(**options) -> VisionTransformer:
    """ViT-L/32, Dosovitskiy et al. 2020, arXiv:2010.11929, table 1: 306.5 M parameters at (3, 224, 224)."""
    return VisionTransformer(LARGE, 32, **options)
