"""Losses and metrics of similarity equal those of pytorch-metric-learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances as d
from pytorch_metric_learning import losses as their
from pytorch_metric_learning import miners
from pytorch_metric_learning.reducers import DoNothingReducer, MeanReducer
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

from sightline.losses import similarity as own
from sightline.metrics.similarity.recognition import map_at_r, ranked_hits, recall_at_1
from sightline.metrics.similarity.verification import distance_matrix

TIGHT = 1e-6


@pytest.fixture(params=[0, 1, 2])
def batch(request):
    """Vectors of length 1 of 24 images of 6 identities, one of them with a single image."""
    generator = torch.Generator().manual_seed(request.param)
    identity = torch.tensor([0] * 5 + [1] * 5 + [2] * 5 + [3] * 4 + [4] * 4 + [5])
    centres = torch.randn(6, 8, generator=generator, dtype=torch.float64)
    vectors = centres[identity] + torch.randn(24, 8, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(vectors, dim=1), identity


def plain(power=1):
    return d.LpDistance(normalize_embeddings=False, p=2, power=power)


def agree(mine, expected):
    assert float(mine[0]) == pytest.approx(float(expected), abs=TIGHT)
    assert float(expected) > 0


def test_contrastive(batch):
    """Theirs are the hinges D and max(0, m - D), without Hadsell's squares; per pair, they are squared here."""
    vectors, identity = batch
    hinges = their.ContrastiveLoss(neg_margin=1.0, distance=plain(), reducer=DoNothingReducer())(vectors, identity)
    near, far = (hinges[name]["losses"].square().mean() / 2 for name in ("pos_loss", "neg_loss"))
    agree(own.contrastive(vectors, identity, margin=1.0), near + far)


def test_batch_hard(batch):
    vectors, identity = batch
    triplets = miners.BatchHardMiner(distance=plain())(vectors, identity)
    loss = their.TripletMarginLoss(margin=0.2, distance=plain(), reducer=MeanReducer())
    agree(own.batch_hard(vectors, identity, margin=0.2), loss(vectors, identity, triplets))


def test_soft_margin(batch):
    """Theirs has the soft margin under `smooth_loss`, with a margin of 0."""
    vectors, identity = batch
    triplets = miners.BatchHardMiner(distance=plain())(vectors, identity)
    loss = their.TripletMarginLoss(margin=0.0, smooth_loss=True, distance=plain(), reducer=MeanReducer())
    agree(own.batch_hard(vectors, identity, margin=None), loss(vectors, identity, triplets))


def test_semi_hard(batch):
    vectors, identity = batch
    squared = plain(power=2)
    triplets = miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard", distance=squared)(vectors, identity)
    assert len(triplets[0])
    loss = their.TripletMarginLoss(margin=0.2, distance=squared, reducer=MeanReducer())
    agree(own.semi_hard(vectors, identity, margin=0.2), loss(vectors, identity, triplets))


@pytest.mark.parametrize("margin", [0.5, 2.9])
def test_arcface(batch, margin):
    """The larger margin takes angles beyond π, where the cosine is continued."""
    vectors, identity = batch
    loss = their.ArcFaceLoss(6, 8, margin=np.degrees(margin), scale=16)
    loss.W.data = loss.W.data.double()
    mine = own.arcface(vectors, identity, loss.W.detach().T, scale=16.0, margin=margin)
    agree(mine, loss(vectors, identity).detach())


def test_nt_xent(batch):
    vectors, identity = batch
    loss = their.NTXentLoss(temperature=0.5, reducer=MeanReducer())
    agree(own.nt_xent(vectors, identity, temperature=0.5), loss(vectors, identity))


def test_nt_xent_of_two_views_is_simclr():
    """Equation 1 of arXiv:2002.05709, written out."""
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    unit = torch.nn.functional.normalize(vectors, dim=1)
    similar = (unit @ unit.T / 0.5).exp()
    terms = [-(similar[i, i ^ 1] / (similar[i].sum() - similar[i, i])).log() for i in range(8)]
    agree(own.nt_xent(vectors, torch.arange(8) // 2, temperature=0.5), torch.stack(terms).mean())


def test_sup_con(batch):
    vectors, identity = batch
    agree(own.sup_con(vectors, identity, temperature=0.1), their.SupConLoss(temperature=0.1)(vectors, identity))


def test_map_at_r(batch):
    vectors, identity = batch
    include = ("mean_average_precision_at_r", "precision_at_1")
    theirs = AccuracyCalculator(include=include, k="max_bin_count", device=torch.device("cpu"), knn_func=_exact)
    several = identity < 5
    found = theirs.get_accuracy(vectors[several].numpy(), identity[several].numpy())
    x = vectors[several].numpy()
    hits = ranked_hits(identity[several].numpy(), distance_matrix(x, x))
    assert map_at_r(hits).mean() == pytest.approx(found["mean_average_precision_at_r"], abs=TIGHT)
    assert recall_at_1(hits).mean() == pytest.approx(found["precision_at_1"], abs=TIGHT)


def _exact(query, k, reference, same_source):
    """Nearest neighbours by all distances; theirs need a library for this."""
    distance = torch.cdist(torch.as_tensor(query), torch.as_tensor(reference))
    if same_source:
        distance.fill_diagonal_(torch.inf)
        k = min(k, len(reference) - 1)
    found = distance.topk(k, largest=False)
    return found.values, found.indices
