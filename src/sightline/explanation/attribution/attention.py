"""Maps from the attention weights of a Transformer. They do not depend on the target, and they say what was read, not what
it was used for (Jain & Wallace 2019, arXiv:1902.10186).

    attention   of the last layer: the mean over its heads of what the class token reads from each patch
                                                        Dosovitskiy et al. 2020, arXiv:2010.11929, appendix D.8
    rollout     the row of the class token in Π (W̄ + I) / 2, from the last layer to the first, W̄ the mean over heads
                                                        Abnar & Zuidema 2020, arXiv:2005.00928

Without a class token, the row is the mean over all tokens, because the head reads their mean. The weights are read where
they are computed: calls of torch's attention functions, and softmaxes over the keys, are intercepted, so the networks of the
house, torchvision's and timm's need no adapter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from sightline.explanation.subject import Attribution, Refused, Subject, undisturbed

_SOFTMAX = {F.softmax, torch.softmax, Tensor.softmax}
_AHEAD = 8  # most tokens that are not patches


class AttentionRecorder(TorchFunctionMode):
    """Inside the block `weights` collects the attention weights (b, heads, n, n) of every layer, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Float[Tensor, "b heads n n"]] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function is F.scaled_dot_product_attention:
            self.weights.append(_weights(*args, **kwargs).detach())
        if function is F.multi_head_attention_forward:
            wanted = kwargs.get("need_weights", True), kwargs.get("average_attn_weights", True)
            output, weights = function(*args, **kwargs | {"need_weights": True, "average_attn_weights": False})
            self.weights.append(weights.detach())
            if not wanted[0]:
                return output, None
            return output, weights.mean(1) if wanted[1] else weights
        result = function(*args, **kwargs)
        if function in _SOFTMAX and isinstance(result, Tensor) and result.ndim == 4 and _over_keys(args, kwargs):
            self.weights.append(result.detach())
        return result


def _weights(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
             is_causal: bool = False, scale: float | None = None, **_: Any) -> Tensor:  # fmt: skip
    """The weights that torch's fused attention never materialises."""
    logits = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        logits = logits.masked_fill(torch.ones_like(logits, dtype=torch.bool).triu(1), -math.inf)
    if attn_mask is not None:
        logits = logits.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else logits + attn_mask
    return logits.softmax(-1)


def _over_keys(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    dimension = args[1] if len(args) > 1 else kwargs.get("dim")
    return dimension in (-1, 3)


def attention(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """What the class token reads in the last layer, the mean over heads."""
    layers = attention_weights(subject, pixels)
    return _as_image(layers[-1].mean(1), pixels, {"layers": 1, "heads": layers[-1].shape[1]})


def rollout(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Attribution:
    """What reaches the class token through all layers, residual connections included."""
    layers = attention_weights(subject, pixels)
    return _as_image(rolled_out(layers), pixels, {"layers": len(layers), "heads": layers[-1].shape[1]})


def rolled_out(layers: list[Float[Tensor, "b heads n n"]]) -> Float[Tensor, "b n n"]:
    """Π (W̄ + I) / 2. Its rows sum to 1, as those of each factor do."""
    product = torch.eye(layers[0].shape[-1], device=layers[0].device).expand(len(layers[0]), -1, -1)
    for weights in layers:
        product = (weights.mean(1) + torch.eye(weights.shape[-1], device=weights.device)) / 2 @ product
    return product


def attention_weights(subject: Subject, pixels: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b heads n n"]]:
    """The weights of each layer over all tokens. Refused for networks without attention, or whose windows see only a part."""
    with undisturbed(subject.network), torch.no_grad(), AttentionRecorder() as recorder:
        subject.scores(pixels)
    if not recorder.weights:
        raise Refused("this network has no attention between tokens", "use grad_cam or occlusion")
    first = recorder.weights[0]
    same = all(w.shape == first.shape for w in recorder.weights)
    if not same or first.shape[-1] != first.shape[-2] or len(first) != len(pixels):
        raise Refused(
            "this network's attention is not between all patches of the image: its tokens change from layer to layer, or "
            "each window has its own",
            "use grad_cam or occlusion",
        )
    return recorder.weights


def _as_image(
    weights: Float[Tensor, "b n n"], pixels: Float[Tensor, "b c h w"], settings: dict[str, Any]
) -> Attribution:
    tokens = weights.shape[-1]
    grid, ahead = token_grid(tokens, int(pixels.shape[2]), int(pixels.shape[3]))
    row = weights[:, 0] if ahead else weights.mean(1)  # (b, n)
    small = row[:, ahead:].unflatten(1, grid)[:, None]  # (b, 1, rows, columns)
    large = F.interpolate(small, size=pixels.shape[2:], mode="bilinear", align_corners=False)
    settings |= {"grid": list(grid), "tokens_ahead": ahead}
    notes = ("attention does not depend on the class: the map is the same for every target",)
    return Attribution(large, "sum", signed=False, unit="share of attention", settings=settings, notes=notes)


def token_grid(tokens: int, height: int, width: int) -> tuple[tuple[int, int], int]:
    """Rows and columns of square patches, and the number of tokens ahead of them: the fewest that fit."""
    for ahead in range(_AHEAD + 1):
        patches = tokens - ahead
        rows = round(math.sqrt(patches * height / width)) if patches > 0 else 0
        if rows and rows * round(rows * width / height) == patches:
            return (rows, patches // rows), ahead
    raise Refused(f"{tokens} tokens do not form a grid over {height}x{width} pixels", "use grad_cam or occlusion")
