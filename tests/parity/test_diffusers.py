"""Schedules, steps and the denoising U-Net against diffusers."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.unets.unet_2d import UNet2DModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

from sightline.losses.denoising import cosine_schedule, diffused, linear_schedule
from sightline.models.generative.denoiser import Denoiser, denoiser_cifar
from sightline.sampling.diffusion import ddim_step, ddpm_step, descent
from sightline.sampling.flow import euler_step

SCHEDULES = {"linear": linear_schedule, "squaredcos_cap_v2": cosine_schedule}
SHAPE = (3, 2, 4, 4)


def _draw(number: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(number))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_products_and_the_noisy_images_are_those_of_diffusers(name: str) -> None:
    theirs = DDPMScheduler(beta_schedule=name)
    torch.testing.assert_close(SCHEDULES[name](1000), theirs.alphas_cumprod, atol=1e-6, rtol=0)
    time = torch.tensor([0, 500, 999])
    ours = diffused(_draw(0), _draw(1), time, SCHEDULES[name](1000))
    torch.testing.assert_close(ours, theirs.add_noise(_draw(0), _draw(1), time), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [10, 1000])
def test_a_ddpm_step_is_that_of_diffusers(name: str, steps: int) -> None:
    theirs, schedule = DDPMScheduler(beta_schedule=name), SCHEDULES[name](1000)
    theirs.set_timesteps(steps)
    times = descent(1000, steps, "leading")
    assert theirs.timesteps.tolist() == times
    for i in sorted({0, 1, steps // 2, steps - 2, steps - 1}):
        before = times[i + 1] if i + 1 < steps else -1
        drawn = torch.randn(SHAPE, generator=torch.Generator().manual_seed(7))
        expected = theirs.step(_draw(1), times[i], _draw(0), generator=torch.Generator().manual_seed(7)).prev_sample
        ours = ddpm_step(_draw(0), _draw(1), times[i], before, schedule, drawn)
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("consistent", [False, True])
def test_a_ddim_step_is_that_of_diffusers(name: str, spacing: str, eta: float, consistent: bool) -> None:
    theirs, schedule = DDIMScheduler(beta_schedule=name, timestep_spacing=spacing), SCHEDULES[name](1000)
    theirs.set_timesteps(20)
    times = descent(1000, 20, spacing)
    assert theirs.timesteps.tolist() == times
    for i in (0, 10, 19):
        before = times[i + 1] if i + 1 < 20 else -1
        expected = theirs.step(
            _draw(1), times[i], _draw(0), eta=eta, use_clipped_model_output=consistent, variance_noise=_draw(2)
        ).prev_sample
        ours = ddim_step(
            _draw(0), _draw(1), times[i], before, schedule, _draw(2) if eta else None, eta=eta, consistent=consistent
        )
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-6)


def test_an_euler_step_is_that_of_diffusers() -> None:
    """Their σ is 1 - t, and their network finds noise - data."""
    theirs = FlowMatchEulerDiscreteScheduler()
    theirs.set_timesteps(10)
    sigmas = theirs.sigmas.tolist()
    x = ours = _draw(0)
    for i in range(10):
        x = theirs.step(-_draw(i + 1), theirs.timesteps[i], x).prev_sample
        ours = euler_step(ours, _draw(i + 1), 1 - sigmas[i], 1 - sigmas[i + 1])
        torch.testing.assert_close(ours, x, atol=1e-6, rtol=1e-6)


BLOCKS = (("DownBlock2D", "UpBlock2D"), ("AttnDownBlock2D", "AttnUpBlock2D"))


@pytest.mark.parametrize(
    ("classes", "blocks", "attention", "original", "groups"),
    [(0, 2, (False, True, False), True, 4), (11, 1, (True, False), False, 8)],
)
def test_a_network_in_the_format_of_diffusers_loads_strictly_and_answers_the_same(
    classes: int, blocks: int, attention: tuple[bool, ...], original: bool, groups: int
) -> None:
    widths = tuple(16 * (level + 1) for level in range(len(attention)))
    torch.manual_seed(0)
    theirs = UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        down_block_types=tuple(BLOCKS[a][0] for a in attention),
        up_block_types=tuple(BLOCKS[a][1] for a in reversed(attention)),
        block_out_channels=widths,
        layers_per_block=blocks,
        attention_head_dim=8,
        norm_num_groups=groups,
        num_class_embeds=classes or None,
        norm_eps=1e-6 if original else 1e-5,
        freq_shift=int(original),
        flip_sin_to_cos=not original,
        downsample_padding=0 if original else 1,
    ).eval()
    ours = Denoiser(
        num_classes=classes, widths=widths, blocks=blocks, attention=attention, patch=1, groups=groups, head=8,
        original=original,
    ).eval()  # fmt: skip
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x, time = torch.randn(2, 3, 16, 16), torch.tensor([3, 700])
    label = torch.tensor([0, 10]) if classes else None
    with torch.no_grad():
        expected = theirs(x, time, class_labels=label).sample
        torch.testing.assert_close(ours(x, time, label), expected, atol=1e-5, rtol=1e-5)


def test_the_network_for_cifar_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in denoiser_cifar().parameters()) == 35_746_307
