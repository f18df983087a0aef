"""Weights that fit in shape, adapted to what differs otherwise: the ε of norms, and the grid of learned positions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.layers.attention.positions import LearnedPositions


def with_eps(state: Mapping[str, Tensor], network: nn.Module, eps: float) -> dict[str, Tensor]:
    """Weights of norms trained with `eps`, for norms with their own ε: equal outputs by γ ← γ √(σ² + ε) / √(σ² + eps)."""
    adapted = dict(state)
    for name, norm in network.named_modules():
        scale = f"{name}.weight"
        if isinstance(norm, _BatchNorm) and scale in state:
            variance = state[f"{name}.running_var"].double()  # (d,)
            factor = ((variance + norm.eps) / (variance + eps).clamp(min=1e-30)).sqrt()
            adapted[scale] = (state[scale].double() * factor).to(state[scale].dtype)
    return adapted


def with_grid(state: Mapping[str, Tensor], network: nn.Module, *, square: bool) -> tuple[dict[str, Tensor], list[str]]:
    """Positions learned for images of another size, resampled to this network's, and notes about it.

    square    the file's images were square, as those of all published ones; otherwise as many positions as this network has
              are taken to be of its own grid
    """
    adapted, notes = dict(state), []
    for module, positions in network.named_modules():
        name = f"{module}.weight"
        if not isinstance(positions, LearnedPositions) or name not in state:
            continue
        learned, own, (h, w) = state[name], positions.weight, positions.grid
        if learned.ndim != 3 or learned.shape[2] != own.shape[2]:
            continue
        many = f"{name}: {learned.shape[1]} learned positions"
        if learned.shape != own.shape or (square and h != w):
            adapted[name] = positions.resample(learned)
            notes.append(f"{many}, taken for a square grid, resampled to {own.shape[1]} for this image size")
        elif h != w:
            notes.append(f"{many} are taken for a grid of {h}x{w} patches, as here; the file does not record its grid")
    return adapted, notes
