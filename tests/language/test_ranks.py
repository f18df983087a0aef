"""The loss of images and texts on two processes: the same loss, and after averaging the same gradient, as on one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from sightline.losses.contrastive import image_text_loss

_CODE = """
import sys, torch
from torch import distributed
from tests.language.test_ranks import gradient
place, rank = sys.argv[1], int(sys.argv[2])
distributed.init_process_group("gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2)
loss, slope = gradient(slice(3 * rank, 3 * rank + 3))
distributed.all_reduce(slope)
if rank == 0:
    torch.save((loss, slope / 2), f"{place}/found.pt")
distributed.destroy_process_group()
"""


def gradient(rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of these of six samples, and its gradient by weights that both towers share, and by the scale."""
    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(6, 4, generator=generator)[rows] for _ in range(2))
    weight = torch.randn(4, 4, generator=generator).requires_grad_()
    scale = torch.tensor(3.0, requires_grad=True)
    one, two = F.normalize(image @ weight, dim=1), F.normalize(text @ weight.square(), dim=1)
    loss, _ = image_text_loss(one, two, scale)
    loss.backward()
    assert weight.grad is not None and scale.grad is not None
    return loss.detach(), torch.cat([weight.grad.flatten(), scale.grad[None]])


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _CODE, str(tmp_path)]
    running = [subprocess.Popen([*command, str(rank)]) for rank in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    loss, slope = torch.load(tmp_path / "found.pt", weights_only=True)
    alone, expected = gradient(slice(0, 6))
    torch.testing.assert_close(loss, alone)
    torch.testing.assert_close(slope, expected)
