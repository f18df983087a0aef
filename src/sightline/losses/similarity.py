"""Losses over the vectors of a batch, which pull images of one identity together and push others apart. Each returns
(mean, weight), as the losses of classes do.

    contrastive   Hadsell, Chopra & LeCun 2006, "Dimensionality reduction by learning an invariant mapping"
    batch_hard    Hermans, Beyer & Leibe 2017, "In defense of the triplet loss for person re-identification" (arXiv:1703.07737)
    semi_hard     Schroff, Kalenichenko & Philbin 2015, FaceNet (arXiv:1503.03832)
    arcface       Deng et al. 2018 (arXiv:1801.07698)
    nt_xent       Chen et al. 2020, SimCLR (arXiv:2002.05709)
    sup_con       Khosla et al. 2020, the form "out" (arXiv:2004.11362)
    siamese       Koch, Zemel & Salakhutdinov 2015, "Siamese neural networks for one-shot image recognition"

`identity` (b,) is who each image shows. `image` (b,) is which image it is: two samples of one image are neither a positive
nor a negative pair, so an identity with a single image only ever pushes. Where a batch holds no pair of a kind that a loss
needs, the loss is 0, and so is its gradient.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from .means import in_32_bits, mean_of_known, mean_over

Vectors = Float[Tensor, "b d"]
Identity = Int[Tensor, "b"]
Mean = tuple[Float[Tensor, ""], Float[Tensor, ""]]


def pair_masks(
    identity: Identity, image: Int[Tensor, "b"] | None = None
) -> tuple[Bool[Tensor, "b b"], Bool[Tensor, "b b"]]:
    """Which ordered pairs show the same identity, without those of one image, and which show two."""
    same = identity[:, None] == identity[None]  # (b, b)
    image = torch.arange(len(identity), device=identity.device) if image is None else image
    return same & (image[:, None] != image[None]), ~same


def squared_distances(vectors: Vectors) -> Float[Tensor, "b b"]:
    """By differences: |a|² + |b|² - 2ab loses all digits of a small distance."""
    vectors = in_32_bits(vectors)
    return (vectors[:, None] - vectors[None]).square().sum(2)  # (b, b, d) → (b, b)


def distances(vectors: Vectors) -> Float[Tensor, "b b"]:
    """Euclidean; the gradient where two vectors are equal is 0, not the root's infinity."""
    squared = squared_distances(vectors)
    apart = squared > 0
    return squared.where(apart, 1.0).sqrt() * apart


def similarities(vectors: Vectors, temperature: float) -> Float[Tensor, "b b"]:
    """Cosines over the temperature."""
    unit = F.normalize(in_32_bits(vectors), dim=1)
    return unit @ unit.T / temperature


def contrastive(
    vectors: Vectors, identity: Identity, image: Int[Tensor, "b"] | None = None, *, margin: float = 1.0
) -> Mean:
    """The mean of D²/2 over the positive pairs plus the mean of max(0, margin - D)²/2 over the negative ones: in batches of P
    identities the latter are P times as many, and one mean over both would hardly pull."""
    positive, negative = pair_masks(identity, image)
    near, _ = mean_of_known(squared_distances(vectors) / 2, positive)
    far, _ = mean_of_known((margin - distances(vectors)).clamp(min=0).square() / 2, negative)
    return near + far, _images(vectors)


def batch_hard(
    vectors: Vectors, identity: Identity, image: Int[Tensor, "b"] | None = None, *, margin: float | None = 0.2
) -> Mean:
    """For each anchor its farthest positive and its nearest negative: max(0, margin + D(a, p) - D(a, n)), averaged over the
    anchors that have both. margin None: the soft margin log(1 + exp(D(a, p) - D(a, n)))."""
    positive, negative = pair_masks(identity, image)
    distance = distances(vectors)
    farthest = distance.where(positive, -math.inf).amax(1)  # (b,)
    nearest = distance.where(negative, math.inf).amin(1)
    known = positive.any(1) & negative.any(1)
    excess = (farthest - nearest).where(known, 0.0)
    terms = F.softplus(excess) if margin is None else (excess + margin).clamp(min=0)
    return mean_of_known(terms, known)


def semi_hard(
    vectors: Vectors, identity: Identity, image: Int[Tensor, "b"] | None = None, *, margin: float = 0.2
) -> Mean:
    """The mean of D²(a, p) - D²(a, n) + margin over all triplets whose negative is farther than the positive, but by less than
    the margin. The hardest triplets make a network collapse early in training (section 3.2 of the paper)."""
    positive, negative = pair_masks(identity, image)
    squared = squared_distances(vectors)
    room = squared[:, None, :] - squared[:, :, None]  # (anchor, positive, negative)
    chosen = positive[:, :, None] & negative[:, None, :] & (room > 0) & (room <= margin)
    return mean_of_known(margin - room, chosen)


def arcface(
    vectors: Vectors,
    identity: Identity,
    centres: Float[Tensor, "k d"],
    *,
    scale: float = 64.0,
    margin: float = 0.5,
) -> Mean:
    """Cross-entropy of scale · cos θ, where the true identity's angle θ (to its centre) is widened by `margin` radians. Beyond
    π - margin the cosine would rise again; there it is continued by cos θ - margin · sin(margin)."""
    cosine = F.normalize(in_32_bits(vectors), dim=1) @ F.normalize(in_32_bits(centres), dim=1).T  # (b, k)
    own = cosine.gather(1, identity[:, None])  # (b, 1)
    edge = 1 - 1e-7  # the slope of the angle is infinite at ±1
    angle = own.clamp(-edge, edge).acos()
    widened = (angle + margin).cos().where(angle <= math.pi - margin, angle.cos() - margin * math.sin(margin))
    scores = scale * cosine.scatter(1, identity[:, None], widened)
    return mean_over(F.cross_entropy(scores, identity, reduction="sum"), _images(vectors))


def nt_xent(
    vectors: Vectors, identity: Identity, image: Int[Tensor, "b"] | None = None, *, temperature: float = 0.5
) -> Mean:
    """-log of the positive's share among itself and all negatives of its anchor, averaged over the positive pairs."""
    positive, negative = pair_masks(identity, image)
    score = similarities(vectors, temperature)
    others = score.where(negative, -math.inf).logsumexp(1, keepdim=True)  # (b, 1)
    known = positive & negative.any(1, keepdim=True)
    return mean_of_known(F.softplus((others - score).where(known, 0.0)), known)


def sup_con(
    vectors: Vectors, identity: Identity, image: Int[Tensor, "b"] | None = None, *, temperature: float = 0.1
) -> Mean:
    """-log of the positive's share among all others, averaged over an anchor's positives, then over the anchors with any."""
    positive, negative = pair_masks(identity, image)
    score = similarities(vectors, temperature)
    known = positive.any(1) & negative.any(1)  # (b,)
    whole = score.where(positive | negative, -math.inf).logsumexp(1, keepdim=True)
    share = (score - whole).where(positive & known[:, None], 0.0)
    return mean_of_known(-share.sum(1) / positive.sum(1).clamp(min=1), known)


def siamese(
    vectors: Vectors,
    identity: Identity,
    weight: Float[Tensor, "d"],
    bias: Float[Tensor, ""],
    image: Int[Tensor, "b"] | None = None,
) -> Mean:
    """Cross-entropy of σ(Σ ω|Δ| + b), the probability that two images show the same. Half of the published pairs are positive,
    so the means over positive and over negative pairs weigh the same."""
    positive, negative = pair_masks(identity, image)
    vectors = in_32_bits(vectors)
    score = ((vectors[:, None] - vectors[None]).abs() * weight).sum(2) + bias  # (b, b, d) → (b, b)
    near, _ = mean_of_known(F.softplus(-score), positive)
    far, _ = mean_of_known(F.softplus(score), negative)
    return (near + far) / 2, _images(vectors)


def _images(vectors: Vectors) -> Float[Tensor, ""]:
    return torch.tensor(float(len(vectors)), device=vectors.device)
