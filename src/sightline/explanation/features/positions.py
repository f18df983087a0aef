"""What a Vision Transformer learned about places: the cosine between position embeddings.

    Dosovitskiy et al. 2020, arXiv:2010.11929, figure 7, centre

Each cell of the grid is one patch, and shows how much every other patch's embedding resembles its own. The embeddings are found
without a name from the user: by the house's modules, else by a parameter or buffer that has "pos" in its name and a row for
each token.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from sightline.explanation.attribution.attention import token_grid
from sightline.explanation.subject import Refused
from sightline.layers.attention.positions import RelativeBias, position_similarity

from .layers import bare


@dataclass(frozen=True)
class Positions:
    """similarity of each place (row, column) with every place, -1 to 1; `name` of the embedding; `ahead` tokens "
    "without a place."""

    name: str
    similarity: Float[Tensor, "h w h w"]
    ahead: int


def position_embeddings(network: nn.Module, size: tuple[int, int]) -> Positions:
    """For images of `size` (h, w). Refused where tokens have no position embedding of their own."""
    relative, biases = "", set[Tensor]()
    for name, module in bare(network).named_modules():
        if isinstance(module, RelativeBias):
            relative, biases = name, biases | {*module.parameters(), *module.buffers()}
        elif callable(embeddings := getattr(module, "embeddings", None)):
            found = _similarity(name, embeddings(), size)
            if found is not None:
                return found
    tensors = [*bare(network).named_parameters(), *bare(network).named_buffers()]
    for name, tensor in tensors:
        if tensor in biases:  # a table of offsets may have as many rows as some grid has places
            continue
        if "relative_position" in name or "rel_pos" in name:
            relative = relative or name
        elif "pos" in name.lower() and (found := _similarity(name, tensor, size)) is not None:
            return found
    if relative:
        raise Refused(
            f"its positions are relative ({relative}): a bias for each offset between two patches, not an embedding of a place",
            "see attention",
        )
    raise Refused("this network has no position embeddings", "see filters, activations or patches")


def _similarity(name: str, embedding: Tensor, size: tuple[int, int]) -> Positions | None:
    flat = embedding.detach().float().cpu()
    if flat.ndim == 4 and flat.shape[0] == 1:  # (1, d, h, w), or (1, h, w, d)
        last = flat.shape[1] == flat.shape[2] or flat.shape[3] > flat.shape[1]
        flat = (flat if last else flat.permute(0, 2, 3, 1)).flatten(1, 2)
    if flat.ndim == 3 and 1 in flat.shape[:2]:  # (1, n, d), or (n, 1, d)
        flat = flat.flatten(0, 1)
    if flat.ndim != 2 or not flat.is_floating_point() or flat.shape[0] < 4:
        return None
    try:
        grid, ahead = token_grid(len(flat), *size)
    except Refused:
        return None
    return Positions(name, position_similarity(flat[ahead:], grid), ahead)
