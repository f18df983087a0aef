"""How much do two maps look alike? Spearman's rank correlation, and SSIM.

    SSIM    (2 μ_a μ_b + c₁)(2 σ_ab + c₂) / ((μ_a² + μ_b² + c₁)(σ_a² + σ_b² + c₂)), the mean over windows of 7 x 7
                                                          Wang et al. 2004, "Image quality assessment"

Maps have no common scale, so each is divided by its largest magnitude first, and SSIM's range is 2 for signed maps and 1
for others. A constant map is like no other: both are 0.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter
from scipy.stats import rankdata

WINDOW = 7
_K1, _K2 = 0.01, 0.03


def spearman(a: Float[np.ndarray, "h w"], b: Float[np.ndarray, "h w"]) -> float:
    """Rank correlation of the values at the same places, in [-1, 1]; 0 if either map is constant."""
    x, y = (rankdata(m.ravel().astype(np.float64)) for m in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / scale if scale else 0.0


def ssim(a: Float[np.ndarray, "h w"], b: Float[np.ndarray, "h w"]) -> float:
    """Structural similarity in [-1, 1]; 0 if either map is constant. Windows that reach beyond the border are left out."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    x, y = (m.astype(np.float64) / np.abs(m).max() for m in (a, b))
    span = 2.0 if min(x.min(), y.min()) < 0 else 1.0
    window = min(WINDOW, *x.shape)
    mean_x, mean_y = uniform_filter(x, window), uniform_filter(y, window)
    n = window**2
    share = n / (n - 1)  # the sample covariance
    var_x, var_y = (share * (uniform_filter(m * m, window) - mu * mu) for m, mu in ((x, mean_x), (y, mean_y)))
    both = share * (uniform_filter(x * y, window) - mean_x * mean_y)
    c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    index = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    edge = (window - 1) // 2
    inner = index[edge : index.shape[0] - edge, edge : index.shape[1] - edge]
    return float((inner if inner.size else index).mean())
