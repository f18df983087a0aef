"""DETR against transformers': the same weights under other names give the same answers and, for one image, the same losses.

Without auxiliary losses: with them transformers 5.24 normalises each layer's answer before the next layer reads it, which
neither the paper nor the authors' program does.

It needs transformers, which the test environment does not install: `tests/contracts/test_detr.py` always runs.
"""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from sightline.losses.detection.sets import set_loss
from sightline.models.create import create_model
from tests.distinct import farthest, fill_lively, picture

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)
SMALL = {"width": 32, "heads": 4, "hidden": 48, "encoder": 2, "decoder": 3, "queries": 7, "num_classes": 5}
RULES = [
    (r"^backbone\.0\.body\.(conv1|bn1)\.", r"model.backbone.model.embedder.embedder.\1."),
    (r"^backbone\.0\.body\.layer", r"model.backbone.model.encoder.stages."),
    (r"stages\.(\d)\.(\d+)\.downsample\.(\d)\.", r"stages.\1.layers.\2.shortcut.c\3."),
    (r"stages\.(\d)\.(\d+)\.(conv|bn)(\d)\.", r"stages.\1.layers.\2.layer.\4.\3."),
    (r"\.(conv1|conv|c0)\.", ".convolution."),
    (r"\.(bn1|bn|c1)\.", ".normalization."),
    (r"^input_proj", "model.input_projection"),
    (r"^query_embed", "model.query_position_embeddings"),
    (r"^class_embed", "class_labels_classifier"),
    (r"^bbox_embed", "bbox_predictor"),
    (r"^transformer\.decoder\.norm\.", "model.decoder.layernorm."),
    (r"^transformer\.", "model."),
    (r"\.out_proj\.", ".o_proj."),
    (r"\.multihead_attn\.", ".encoder_attn."),
    (r"\.linear([12])\.", r".mlp.fc\1."),
    (r"\.norm1\.", ".self_attn_layer_norm."),
    (r"(encoder\.layers\.\d+)\.norm2\.", r"\1.final_layer_norm."),
    (r"\.norm2\.", ".encoder_attn_layer_norm."),
    (r"\.norm3\.", ".final_layer_norm."),
]  # fmt: skip


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Ours under theirs' names: stages and layers are counted from 0 there, and projections are three layers."""
    out = {}
    for name, value in state.items():
        for pattern, new in RULES:
            name = re.sub(pattern, new, name)
        name = re.sub(r"stages\.(\d)", lambda m: f"stages.{int(m[1]) - 1}", name)
        name = re.sub(r"layer\.(\d)\.", lambda m: f"layer.{int(m[1]) - 1}.", name)
        if ".in_proj_" in name:
            head, kind = name.split(".in_proj_")
            out |= {f"{head}.{p}_proj.{kind}": part for p, part in zip("qkv", value.chunk(3), strict=True)}
        elif not name.endswith("num_batches_tracked"):
            out[name] = value
    return out


def test_same_answers_and_losses() -> None:
    config = transformers.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, dropout=0.0,
        d_model=32, encoder_layers=2, decoder_layers=3, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, num_queries=7, num_labels=5,
    )  # fmt: skip
    theirs = transformers.DetrForObjectDetection(config).eval()
    ours = create_model("detr_resnet50", **SMALL).eval()
    fill_lively(ours, picture(2, 3, 64, 96), seed=1)
    theirs.load_state_dict(renamed(ours.state_dict()), strict=True)
    x = picture(1, 3, 64, 96, seed=2)
    true = torch.tensor([[0.3, 0.4, 0.2, 0.3], [0.6, 0.5, 0.4, 0.4]])
    label = torch.tensor([3, 1])
    with torch.no_grad():
        got = ours(x)
        want = theirs(x, labels=[{"class_labels": label, "boxes": true}])
    assert farthest(got.logits[-1], want.logits) <= 2e-5 and farthest(got.places[-1], want.pred_boxes) <= 2e-5
    terms, _ = set_loss(got.logits[-1:], got.places[-1:], label, true, torch.zeros(2, dtype=torch.long))
    names = {"class": "loss_ce", "l1": "loss_bbox", "giou": "loss_giou"}
    factor = {"class": 1, "l1": 5, "giou": 2}
    for name, value in terms.items():
        assert float(value) == pytest.approx(factor[name] * float(want.loss_dict[names[name]]), rel=1e-4), name
