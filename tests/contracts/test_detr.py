"""DETR (Carion et al. 2020): the network against one built from torch's own layers and torchvision's ResNet under the
authors' names; the matching and the loss against slow ones."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from sightline.losses.detection.set_matching import match_set, pair_costs
from sightline.losses.detection.sets import image_set_loss, set_loss
from sightline.models.boxes.transformer.detr import padded_cells
from sightline.models.boxes.transformer.layers import Size, Transformer, sine_positions
from sightline.models.create import create_model, outline
from tests.distinct import farthest, fill_lively, picture

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)
SMALL = {"width": 32, "heads": 4, "hidden": 48, "encoder": 2, "decoder": 3, "queries": 7, "num_classes": 5}


class Peer(nn.Module):
    """The same function from torch's layers: post-norm blocks, positions on queries and keys only."""

    def __init__(self, width: int, heads: int, hidden: int, encoder: int, decoder: int, queries: int, num_classes: int):
        super().__init__()
        body = torchvision.models.resnet50(norm_layer=torchvision.ops.FrozenBatchNorm2d)
        body.fc = nn.Identity()
        self.backbone = nn.ModuleList([nn.ModuleDict({"body": body})])
        self.width = width
        self.input_proj = nn.Conv2d(2048, width, 1)
        layers = [nn.TransformerEncoderLayer(width, heads, hidden, dropout=0.0) for _ in range(encoder)]
        self.transformer = nn.ModuleDict(
            {
                "encoder": nn.ModuleDict({"layers": nn.ModuleList(layers)}),
                "decoder": nn.ModuleDict(
                    {
                        "layers": nn.ModuleList(
                            nn.TransformerDecoderLayer(width, heads, hidden, dropout=0.0) for _ in range(decoder)
                        ),
                        "norm": nn.LayerNorm(width),
                    }
                ),
            }
        )
        self.class_embed = nn.Linear(width, num_classes + 1)
        self.bbox_embed = nn.ModuleDict(
            {"layers": nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 4)])}
        )
        self.query_embed = nn.Embedding(queries, width)

    def position(self, rows: int, columns: int, inside: tuple[int, int]) -> Tensor:
        """(rows · columns, width), one number at a time."""
        half = self.width // 2
        out = torch.zeros(rows, columns, self.width)
        for r, c, i in itertools.product(range(rows), range(columns), range(self.width)):
            place, last = ((min(r + 1, inside[0]), inside[0]), (min(c + 1, inside[1]), inside[1]))[i >= half]
            angle = place / (last + 1e-6) * 2 * math.pi / 10_000 ** (2 * (i % half // 2) / half)
            out[r, c, i] = math.sin(angle) if i % 2 == 0 else math.cos(angle)
        return out.flatten(0, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        body = self.backbone[0]["body"]
        x = body.maxpool(body.relu(body.bn1(body.conv1(image))))
        x = self.input_proj(body.layer4(body.layer3(body.layer2(body.layer1(x)))))
        rows, columns = x.shape[2:]
        position = self.position(rows, columns, (rows, columns))[:, None]
        x = x.flatten(2).permute(2, 0, 1)
        for layer in self.transformer["encoder"]["layers"]:
            x = layer.norm1(x + layer.self_attn(x + position, x + position, x)[0])
            x = layer.norm2(x + layer.linear2(torch.relu(layer.linear1(x))))
        query = self.query_embed.weight[:, None].expand(-1, image.shape[0], -1)
        y, answers = torch.zeros_like(query), []
        for layer in self.transformer["decoder"]["layers"]:
            y = layer.norm1(y + layer.self_attn(y + query, y + query, y)[0])
            y = layer.norm2(y + layer.multihead_attn(y + query, x + position, x)[0])
            y = layer.norm3(y + layer.linear2(torch.relu(layer.linear1(y))))
            answers.append(self.transformer["decoder"]["norm"](y).transpose(0, 1))
        stacked = torch.stack(answers)
        boxes = stacked
        for layer in self.bbox_embed["layers"][:-1]:
            boxes = torch.relu(layer(boxes))
        return self.class_embed(stacked), self.bbox_embed["layers"][-1](boxes).sigmoid()


def test_size_of_the_paper() -> None:
    """41.3 M weights are trained: all but the trunk's first convolution and first stage, which the authors freeze together
    with its norms (buffers)."""
    network = outline("detr_resnet50")
    count = {name: p.numel() for name, p in network.named_parameters()}
    still = ("backbone.0.body.conv1", "backbone.0.body.layer1")
    assert sum(n for name, n in count.items() if not name.startswith(still)) == 41_302_368
    assert sum(count.values()) == 41_524_768
    out = network(torch.zeros(1, 3, 224, 320, device="meta"))
    assert out.logits.shape == (6, 1, 100, 92) and out.boxes.shape == (1, 100, 4) and out.score.shape == (1, 100, 91)


@torch.no_grad()
def test_same_answers_as_from_torchs_layers() -> None:
    peer = Peer(**SMALL).eval()
    fill_lively(peer, picture(2, 3, 64, 96), seed=1)
    ours = create_model("detr_resnet50", **SMALL).eval()
    missing, unexpected = ours.load_state_dict(peer.state_dict(), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    x = picture(2, 3, 64, 96, seed=2)
    logits, places = peer(x)
    got = ours(x)
    other, _ = peer(picture(2, 3, 64, 96, seed=3))
    assert farthest(logits[-1, :, 0], logits[-1, :, 1]) > 1e-3 and farthest(other, logits) > 1e-3
    assert farthest(got.logits, logits) <= 2e-5 and farthest(got.places, places) <= 2e-5
    edge = torch.tensor([96.0, 64.0, 96.0, 64.0])
    middle = (got.boxes[..., :2] + got.boxes[..., 2:]) / 2
    assert torch.allclose(middle, places[-1][..., :2] * edge[:2], atol=1e-3)


@torch.no_grad()
def test_padding_is_not_read() -> None:
    """Tokens of the padding change no answer, and neither do the pixels of the padding; positions span the image alone."""
    size = Size(width=16, heads=2, hidden=24, dropout=0.0)
    transformer, draw = Transformer(size, 2, 2).eval(), torch.Generator().manual_seed(0)
    tokens, position, query = (torch.randn(n, 16, generator=draw) for n in (9, 9, 3))
    padding = torch.arange(9)[None] >= 6
    query = query[None]
    alone = transformer(tokens[None, :6], position[None, :6], query, None)
    beside = transformer(tokens[None], position[None], query, padding)
    assert farthest(beside, alone) <= 1e-5
    assert farthest(transformer(tokens[None], position[None], query, None), alone) > 0.01
    assert padded_cells(torch.tensor([[64, 40]]), (2, 4), (64, 128)).tolist() == [[[False, False, True, True]] * 2]
    wide = sine_positions(padded_cells(torch.tensor([[64, 64]]), (2, 4), (64, 128)), 16)
    assert torch.equal(wide[0, [0, 1, 4, 5]], sine_positions(torch.zeros(1, 2, 2, dtype=torch.bool), 16)[0])
    network = create_model("detr_resnet18", **SMALL).eval()
    grey, white = (torch.full((1, 3, 64, 128), value) for value in (0.5, 7.0))
    grey[..., :64] = white[..., :64] = picture(1, 3, 64, 64, seed=4)
    answers = [network(x, torch.tensor([[64, 64]])).logits for x in (grey, white)]
    assert torch.equal(*answers)


def random_set(
    seed: int, queries: int = 6, objects: int = 4, classes: int = 3
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(queries, classes + 1, generator=draw, dtype=torch.float64)
    places, true = (0.1 + 0.4 * torch.rand(n, 4, generator=draw, dtype=torch.float64) for n in (queries, objects))
    return logits, places, torch.randint(0, classes, (objects,), generator=draw), true


def test_matching_is_the_cheapest() -> None:
    """Against every assignment there is."""
    for seed in range(20):
        logits, places, label, true = random_set(seed)
        costs = pair_costs(logits, places, label, true)
        query, truth = match_set(costs)
        best = min(sum(float(costs[q, t]) for t, q in enumerate(some)) for some in itertools.permutations(range(6), 4))
        assert float(costs[query, truth].sum()) == pytest.approx(best, rel=1e-6)
    query, truth = match_set(torch.full((3, 2), math.nan))
    assert len(query) == 2
    assert not len(match_set(torch.zeros(3, 0))[0])


def _loss_written_out(logits: Tensor, places: Tensor, label: Tensor, true: Tensor) -> dict[str, float]:
    """Every assignment is tried; every pair's cost is written out."""

    def edges(box: list[float]) -> tuple[float, ...]:
        x, y, w, h = box
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2

    def giou(a: list[float], b: list[float]) -> float:
        (ax, ay, aX, aY), (bx, by, bX, bY) = edges(a), edges(b)
        shared = max(0.0, min(aX, bX) - max(ax, bx)) * max(0.0, min(aY, bY) - max(ay, by))
        union = (aX - ax) * (aY - ay) + (bX - bx) * (bY - by) - shared
        hull = (max(aX, bX) - min(ax, bx)) * (max(aY, bY) - min(ay, by))
        return shared / union - (hull - union) / hull

    def l1(a: list[float], b: list[float]) -> float:
        return sum(abs(p - q) for p, q in zip(a, b, strict=True))

    p, boxes, objects = logits.softmax(1).tolist(), places.tolist(), true.tolist()
    pairs = {
        (q, t): 5 * l1(boxes[q], objects[t]) - p[q][label[t]] - 2 * giou(boxes[q], objects[t])
        for q in range(len(boxes))
        for t in range(len(objects))
    }
    chosen = min(
        itertools.permutations(range(len(boxes)), len(objects)),
        key=lambda some: sum(pairs[q, t] for t, q in enumerate(some)),
    )
    none = logits.shape[1] - 1
    wanted = [int(label[chosen.index(q)]) if q in chosen else none for q in range(len(boxes))]
    weights = [0.1 if c == none else 1.0 for c in wanted]
    entropy = sum(-w * math.log(p[q][c]) for q, (w, c) in enumerate(zip(weights, wanted, strict=True)))
    number = max(len(objects), 1)
    return {
        "class": entropy / sum(weights),
        "l1": sum(5 * l1(boxes[q], objects[t]) for t, q in enumerate(chosen)) / number,
        "giou": sum(2 * (1 - giou(boxes[q], objects[t])) for t, q in enumerate(chosen)) / number,
    }


def test_loss_written_out() -> None:
    """Also without objects; of several images and layers it is their mean and their sum."""
    images = [random_set(seed, objects=n) for seed, n in enumerate((4, 0, 1, 3))]
    want = [_loss_written_out(*one) for one in images]
    for one, terms in zip(images, want, strict=True):
        got = image_set_loss(*one)
        assert {name: float(value) for name, value in got.items()} == pytest.approx(terms, rel=1e-5)
    logits, places = (torch.stack([one[i] for one in images]) for i in (0, 1))
    label, true = (torch.cat([one[i] for one in images]) for i in (2, 3))
    sample = torch.tensor([0] * 4 + [2] + [3] * 3)
    both, weight = set_loss(torch.stack((logits, logits)), torch.stack((places, places)), label, true, sample)
    assert weight == 4
    for name, value in both.items():
        assert float(value) == pytest.approx(2 * sum(terms[name] for terms in want) / 4, rel=1e-5), name
