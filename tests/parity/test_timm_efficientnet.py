"""EfficientNet against timm: its files load by their names and answer alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sightline.models.create import create_model, outline
from sightline.models.efficient.efficientnet import as_timm
from tests.distinct import farthest, fill_lively, picture

timm = pytest.importorskip("timm")
torch.set_num_threads(1)


@pytest.mark.parametrize("number", range(8))
def test_same_names_and_shapes(number: int) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(f"efficientnet_b{number}")
    renamed = as_timm(theirs.state_dict())
    ours = outline(f"efficientnet_b{number}").state_dict()
    assert {key: x.shape for key, x in ours.items()} == {key: x.shape for key, x in renamed.items()}


@torch.no_grad()
@pytest.mark.parametrize("number", [0, 5])
def test_a_file_answers_alike(number: int, tmp_path: Path) -> None:
    theirs = timm.create_model(f"efficientnet_b{number}", num_classes=10)
    fill_lively(theirs, picture(8, 3, 96, 96, seed=1), seed=1)
    save_file({key: x.contiguous() for key, x in theirs.state_dict().items()}, tmp_path / "b.safetensors")
    ours = create_model(f"efficientnet_b{number}", num_classes=10, weights=tmp_path / "b.safetensors").eval()
    notes = " ".join(ours.origin.notes)
    assert "its tf_… do not" in notes
    assert ("ε of their norms, 1e-5" in notes) == (number == 5)
    x = picture(2, 3, 77, 93)
    expected = theirs(x)
    assert farthest(expected[:1], expected[1:]) > 0.1
    for norm in ours.modules() if number == 5 else ():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.eps = 1e-5
    assert farthest(ours(x), expected) <= 1e-5
    ours.trunk[5][1].block[2].fc1, ours.trunk[5][2].block[2].fc1 = (
        ours.trunk[5][2].block[2].fc1,
        ours.trunk[5][1].block[2].fc1,
    )
    assert farthest(ours(x), expected) > 1e-3
