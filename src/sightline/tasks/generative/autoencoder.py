"""Images to codes and back: the squared error of the reconstruction, and what keeps codes simple."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.denoising import squared_errors
from sightline.losses.means import in_32_bits
from sightline.metrics.generation.pictures import psnr
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.structures.batch import Batch
from sightline.structures.figure_rows import FigureRows
from sightline.structures.predictions import Images, Prediction
from sightline.tasks.task import Loss, Task

FIGURES = ("psnr", "loss")


class Autoencoder(Task):
    """`model` maps images in [-1, 1] to (reconstruction, code, log σ² or None).

    divergence   weight of KL(N(μ, σ²) ‖ N(0, 1)) for each number of a variational code (β of Higgins et al. 2017)
    sparsity     weight of the mean |code|
    noise        deviation of normal noise on the input, in units of [-1, 1]: what is to be reconstructed has none
    """

    def __init__(self, model: nn.Module, *, divergence: float = 0.0, sparsity: float = 0.0, noise: float = 0.0) -> None:
        super().__init__()
        self.model = model
        self.divergence, self.sparsity, self.noise = divergence, sparsity, noise

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        image = to_signed(batch.image)
        coded = self.model(image + self.noise * torch.randn_like(image) if self.noise else image)
        error = squared_errors(coded.image, image).mean()
        total, parts = error, {"loss": error.detach()}
        if coded.log_variance is not None:
            divergence = normal_divergence(in_32_bits(coded.code), in_32_bits(coded.log_variance))
            total, parts["divergence"] = total + self.divergence * divergence, divergence.detach()
        if self.sparsity:
            size = in_32_bits(coded.code).abs().mean()
            total, parts["code"] = total + self.sparsity * size, size.detach()
        return Loss(total, torch.tensor(float(len(image)), device=image.device), parts)

    def predict(self, batch: Batch) -> Prediction:
        return Images((in_32_bits(self.model(to_signed(batch.image)).image) + 1) * HALF)

    def rows(self, batch: Batch, prediction: Prediction) -> FigureRows:
        assert isinstance(prediction, Images)
        signed = prediction.image / HALF - 1
        loss = squared_errors(signed, to_signed(batch.image))
        figures = torch.stack([psnr(to_levels(signed).float(), batch.image.float()), loss], 1)
        return FigureRows(batch.id.cpu().numpy(), figures.cpu().double().numpy(), FIGURES)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        assert isinstance(rows, FigureRows)
        return {name: float(rows.column(name).mean()) if len(rows) else None for name in FIGURES}


def normal_divergence(mean: Float[Tensor, "b *shape"], log_variance: Float[Tensor, "b *shape"]) -> Float[Tensor, ""]:
    """KL(N(μ, σ²) ‖ N(0, 1)) = (μ² + σ² - 1 - log σ²) / 2, the mean over all numbers (Kingma & Welling 2013, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
