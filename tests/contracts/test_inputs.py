"""Batches of any inputs: joined in order, padded where lengths differ, moved whole, and never taken for images."""

from __future__ import annotations

import pytest
import torch

from sightline.structures.batch import Batch, Sample, collate
from sightline.structures.inputs import Clips, Pixels, Tokens
from sightline.structures.targets import Labels


def label(index: int) -> Labels:
    return Labels.of(torch.tensor([index]))


def tokens(*words: int) -> Tokens:
    return Tokens(torch.tensor([words]), torch.ones(1, len(words), dtype=torch.bool))


def image(value: int, height: int, width: int) -> Pixels:
    pixels = torch.full((1, 3, height, width), value, dtype=torch.uint8)
    return Pixels(pixels, torch.tensor([[height, width]]), torch.eye(3)[None], torch.tensor([[height, width]]))


def test_an_image_with_its_words() -> None:
    samples = [
        Sample({"image": image(1, 2, 5), "text": tokens(7, 8, 9)}, 4, label(0)),
        Sample({"image": image(2, 3, 4), "text": tokens(6)}, 2, label(1)),
    ]
    batch = collate(samples, [10, 11])
    assert len(batch) == 2
    assert batch.image.shape == (2, 3, 3, 5)
    assert batch.image[0, 0].tolist() == [[1] * 5, [1] * 5, [0] * 5]
    assert batch.image[1, 0].tolist() == [[2, 2, 2, 2, 0]] * 3
    assert batch.image.is_contiguous(memory_format=torch.channels_last)
    text = batch.inputs["text"]
    assert isinstance(text, Tokens)
    assert text.index.tolist() == [[7, 8, 9], [6, 0, 0]]
    assert text.mask.tolist() == [[True, True, True], [True, False, False]]
    assert (batch.id.tolist(), batch.position.tolist()) == ([4, 2], [10, 11])
    assert isinstance(batch.target, Labels)
    assert batch.target.index.tolist() == [0, 1]


def test_clips_and_pairs() -> None:
    frames = [torch.full((1, 4, 3, 2, 2), value, dtype=torch.uint8) for value in (3, 5)]
    clips = collate([Sample({"clip": Clips(f)}, i, label(0)) for i, f in enumerate(frames)], [0, 1]).inputs["clip"]
    assert isinstance(clips, Clips)
    assert clips.frames[:, 0, 0, 0, 0].tolist() == [3, 5]
    pairs = collate([Sample({"first": image(1, 2, 2), "second": image(9, 4, 4)}, 0, label(0))] * 2, [0, 1])
    assert [pairs.inputs[name].image.shape[2] for name in ("first", "second")] == [2, 4]  # type: ignore[attr-defined]


def test_a_batch_without_images_says_so() -> None:
    batch = collate([Sample({"text": tokens(1)}, 0, label(0))], [0])
    for name in ("image", "size", "frame", "natural"):
        with pytest.raises(TypeError, match="no images but text"):
            getattr(batch, name)


def test_every_tensor_moves() -> None:
    batch = collate([Sample({"image": image(1, 2, 2), "text": tokens(1)}, 0, label(0))], [0]).to("meta")
    pixels, text = batch.inputs["image"], batch.inputs["text"]
    assert isinstance(pixels, Pixels)
    assert isinstance(text, Tokens)
    moved = [pixels.image, pixels.size, pixels.frame, pixels.natural, text.index, text.mask, batch.id, batch.position]
    assert {tensor.device.type for tensor in moved} == {"meta"}


def test_other_pixels_leave_the_rest() -> None:
    batch = collate([Sample({"image": image(1, 2, 2), "text": tokens(1)}, 0, label(0))], [0])
    other = batch.with_pixels(image=batch.image + 1)
    assert isinstance(other, Batch)
    assert (int(other.image[0, 0, 0, 0]), int(batch.image[0, 0, 0, 0])) == (2, 1)
    assert other.inputs["text"] is batch.inputs["text"]
    assert other.target is batch.target
