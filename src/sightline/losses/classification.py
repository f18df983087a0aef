"""Losses over class scores. Each returns (mean, weight): a mean over samples of known class, and the weight of that
mean.

    cross_entropy          -log of the probability of the true class; its gradient with respect to the scores is p - y
    multiclass_hinge       Weston & Watkins 1999: every wrong score must stay a margin below the right one
    focal_of_classes       Lin et al. 2017, arXiv:1708.02002: times (1 - p)^γ, so that easy images weigh less
    binary_cross_entropy   one yes-or-no question for each column

Both are 0-d tensors on the scores' device, so Σ w·L / Σ w over parts of a batch is the loss of the whole batch. Where
no label is known the weight, the mean and its gradient are 0. 16-bit scores are converted to 32 bits.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.structures.targets import Labels

from .means import in_32_bits, mean_of_known, mean_over

_UNKNOWN = -100  # the class index that torch's losses ignore


def cross_entropy(
    logits: Float[Tensor, "b k"],
    labels: Labels,
    *,
    smoothing: float = 0.0,
    class_weight: Float[Tensor, "k"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy of scores with true classes, or with mixed labels (`labels.soft`).

    smoothing      the share of each target that is spread evenly over all classes (Szegedy et al. 2015, arXiv:1512.00567)
    class_weight   positive factor of each class; the loss's weight is then the sum of the true classes' factors, as in
                   torch's mean. For mixed labels torch divides by the number of samples instead; here the weight is
                   Σ soft · class_weight, so that a mixed label with a single class counts like that class
    """
    _require_labels(labels)
    logits = in_32_bits(logits)
    if class_weight is not None:
        class_weight = class_weight.to(logits.dtype)
    if labels.soft is None:
        index = labels.index.long().where(labels.known, _UNKNOWN)
        total = F.cross_entropy(
            logits, index, class_weight, ignore_index=_UNKNOWN, reduction="sum", label_smoothing=smoothing
        )
        weight = labels.known.to(logits.dtype)  # (b,)
        return mean_over(total, (weight if class_weight is None else weight * class_weight[labels.index]).sum())
    known = labels.known[:, None]  # (b, 1)
    soft = labels.soft.to(logits.dtype).where(known, 0.0)  # (b, k)
    even = known.to(logits.dtype) / logits.shape[1]  # (b, 1)
    target = soft if smoothing == 0 else (1 - smoothing) * soft + smoothing * even
    total = F.cross_entropy(logits, target, class_weight, reduction="sum")
    return mean_over(total, (soft if class_weight is None else soft * class_weight).sum())


def multiclass_hinge(
    logits: Float[Tensor, "b k"],
    labels: Labels,
    *,
    margin: float = 1.0,
    class_weight: Float[Tensor, "k"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Σ over wrong classes j of max(0, s_j - s_y + margin), averaged over samples (torch also averages over classes).

    UsageError for mixed labels, which have no single true class.
    """
    _require_labels(labels)
    if labels.soft is not None:
        raise UsageError("the hinge loss takes no mixed labels", "turn mixing off, or use cross-entropy")
    logits = in_32_bits(logits)
    index = labels.index.long()[:, None]  # (b, 1)
    excess = F.relu(logits - logits.gather(1, index) + margin)  # (b, k)
    excess = excess.scatter(1, index, 0.0).sum(1)  # (b,); the true class is left out
    weights = labels.known.to(logits.dtype)
    if class_weight is not None:
        weights = weights * class_weight.to(logits.dtype)[labels.index]
    return mean_over((excess * weights).sum(), weights.sum())


def focal_of_classes(
    logits: Float[Tensor, "b k"],
    labels: Labels,
    *,
    gamma: float = 2.0,
    class_weight: Float[Tensor, "k"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """-(1 - p)^γ log p of the true class, averaged over samples; γ = 0 is cross-entropy. p is a softmax, and the paper's α is
    `class_weight`. UsageError for mixed labels, which have no single true class.
    """
    _require_labels(labels)
    if labels.soft is not None:
        raise UsageError("the focal loss takes no mixed labels", "turn mixing off, or use cross-entropy")
    index = labels.index.long()
    terms = F.cross_entropy(in_32_bits(logits), index, reduction="none")  # (b,)
    weights = labels.known.to(terms.dtype)
    if class_weight is not None:
        weights = weights * class_weight.to(terms.dtype)[index]
    # clamped away from 0, where (1 - p)^γ has infinite slope for γ < 1
    easy = (1 - (-terms).exp()).clamp(min=1e-12) ** gamma
    return mean_over((easy * terms * weights).sum(), weights.sum())


def binary_cross_entropy(
    logits: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    known: Bool[Tensor, "*shape"] | None = None,
    positive_weight: Float[Tensor, "..."] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """-(y log p + (1 - y) log(1 - p)) with p = sigmoid(logit), averaged over all known entries.

    positive_weight (one for each column, or one for all) multiplies the y term, for rare positives; the loss's weight is
    the number of known entries.
    """
    logits = in_32_bits(logits)
    terms = F.binary_cross_entropy_with_logits(
        logits, target.to(logits.dtype), pos_weight=positive_weight, reduction="none"
    )
    return mean_of_known(terms, known)


def _require_labels(labels: object) -> None:
    """A tensor of class indices does not say which labels are unknown, nor how they were mixed: `Labels` does."""
    if not isinstance(labels, Labels):
        raise UsageError(
            f"labels are a {type(labels).__name__}, not sightline.structures.targets.Labels",
            "pass Labels.of(index), with a negative index for each unknown label",
        )
