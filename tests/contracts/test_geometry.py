"""Images land where the frame says: for every fit, every size, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.errors import UsageError
from sightline.preprocessing.geometry import Geometry
from sightline.structures.frames import inverse

FITS = ("stretch", "letterbox", "crop", "shortest", "longest")
sides = st.integers(1, 90)
geometries = st.builds(
    Geometry,
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    fit=st.sampled_from(FITS),
    share=st.floats(0.3, 1.0),
    multiple=st.sampled_from((1, 8, 32)),
)


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels), dtype=np.uint8)


def mapped(frame: np.ndarray, x: float, y: float) -> tuple[float, float]:
    u, v, w = frame @ (x, y, 1)
    assert w == 1
    return float(u), float(v)


@given(geometries, sides, sides, st.sampled_from((1, 3)))
@settings(max_examples=300, deadline=None)
def test_shape_frame_and_inverse(geometry: Geometry, height: int, width: int, channels: int) -> None:
    pixels = noise(height, width, channels)
    out, frame = geometry.apply(pixels)
    assert out.dtype == np.uint8
    assert out.shape[2] == channels
    if geometry.fit in ("stretch", "letterbox", "crop"):
        assert out.shape[:2] == (geometry.height, geometry.width)
    else:
        assert out.shape[0] % geometry.multiple == out.shape[1] % geometry.multiple == 0
    assert frame.dtype == np.float64
    assert np.allclose(frame @ inverse(frame), np.eye(3), atol=1e-9)
    (left, top), (right, bottom) = mapped(frame, 0, 0), mapped(frame, width, height)
    if geometry.fit == "crop":  # the image covers the canvas
        assert left <= 1e-9
        assert top <= 1e-9
        assert right >= out.shape[1] - 1e-6
        assert bottom >= out.shape[0] - 1e-6
        assert frame[0, 0] == frame[1, 1]
    else:  # the canvas holds the image
        assert left >= 0
        assert top >= 0
        assert right <= out.shape[1] + 1e-6
        assert bottom <= out.shape[0] + 1e-6


@given(geometries, st.integers(8, 90), st.integers(8, 90), st.data())
@settings(max_examples=300, deadline=None)
def test_a_rectangle_lands_where_the_frame_says(
    geometry: Geometry, height: int, width: int, data: st.DataObject
) -> None:
    """Its brightness per area is that of the mapped rectangle, cut at the canvas, up to a pixel around its edge."""
    x0, y0 = data.draw(st.integers(0, width - 4)), data.draw(st.integers(0, height - 4))
    x1, y1 = data.draw(st.integers(x0 + 3, width)), data.draw(st.integers(y0 + 3, height))
    pixels = np.zeros((height, width, 1), dtype=np.uint8)
    pixels[y0:y1, x0:x1] = 255
    out, frame = Geometry(geometry.height, geometry.width, geometry.fit, 0, geometry.share, geometry.multiple).apply(
        pixels
    )
    (u0, v0), (u1, v1) = mapped(frame, x0, y0), mapped(frame, x1, y1)
    reach = max(1.0, frame[0, 0], frame[1, 1])  # a bilinear edge is as wide as a pixel of the coarser grid
    rows, columns = np.arange(out.shape[0])[:, None] + 0.5, np.arange(out.shape[1])[None] + 0.5
    deep = (rows > v0 + reach) & (rows < v1 - reach) & (columns > u0 + reach) & (columns < u1 - reach)
    far = (rows < v0 - reach) | (rows > v1 + reach) | (columns < u0 - reach) | (columns > u1 + reach)
    assert (out[..., 0][deep] == 255).all()
    assert (out[..., 0][far] == 0).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_right_size_is_copied_bit_for_bit(fit: str, channels: int) -> None:
    pixels = noise(32, 64, channels)
    out, frame = Geometry(32, 64, fit).apply(pixels)
    assert np.array_equal(out, pixels)
    assert out is not pixels
    assert np.array_equal(frame, np.eye(3))


def test_stretch_is_pillows_antialiased_bilinear() -> None:
    pixels = noise(50, 70)
    out, frame = Geometry(20, 30).apply(pixels)
    reference = Image.fromarray(pixels).resize((30, 20), Image.Resampling.BILINEAR)
    assert np.array_equal(out, np.asarray(reference))
    assert np.array_equal(frame, np.diag([30 / 70, 20 / 50, 1]))


def test_letterbox_by_hand() -> None:
    out, frame = Geometry(40, 40, "letterbox", pad=9).apply(np.full((20, 60, 3), 200, np.uint8))
    assert (out[:13] == 9).all()  # 60 x 20 → 40 x 13; 27 rows are left, 13 above
    assert (out[13:26] == 200).all()
    assert (out[26:] == 9).all()
    assert np.allclose(frame, [[40 / 60, 0, 0], [0, 13 / 20, 13], [0, 0, 1]])
    tall, _ = Geometry(40, 40, "letterbox", pad=9).apply(np.full((60, 20, 3), 200, np.uint8))
    assert np.array_equal(tall, out.swapaxes(0, 1))


def test_crop_is_resize_then_centre_crop() -> None:
    """Where the usual way needs no rounding, the two agree to the bit."""
    pixels = noise(60, 100)
    small = Image.fromarray(pixels).resize((50, 30), Image.Resampling.BILINEAR)
    out, frame = Geometry(30, 30, "crop").apply(pixels)
    assert np.array_equal(out, np.asarray(small.crop((10, 0, 40, 30))))
    assert np.array_equal(frame, [[0.5, 0, -10], [0, 0.5, 0], [0, 0, 1]])
    small = Image.fromarray(noise(512, 512)).resize((256, 256), Image.Resampling.BILINEAR)
    out, frame = Geometry(224, 224, "crop", share=0.875).apply(noise(512, 512))  # resize 256, crop 224
    assert np.array_equal(out, np.asarray(small.crop((16, 16, 240, 240))))


def test_crop_without_scaling_moves_no_value() -> None:
    pixels = noise(32, 45)
    out, frame = Geometry(32, 32, "crop").apply(pixels)
    assert np.array_equal(out, pixels[:, 6:38])
    assert frame[0, 2] == -6


def test_a_strip_is_cropped_without_being_enlarged_first() -> None:
    """Resized whole it would be 32 x 32,000,000 pixels."""
    out, frame = Geometry(32, 32, "crop").apply(noise(1, 1_000_000))
    assert out.shape == (32, 32, 3)
    assert frame[0, 0] == 32


@pytest.mark.parametrize(
    ("fit", "size", "shape", "scale"),
    [
        ("shortest", (60, 90), (64, 96), 50 / 60),  # shortest to 50: 50 x 75, padded to multiples of 32
        ("shortest", (30, 300), (32, 96), 80 / 300),  # the longest may not exceed 80
        ("longest", (60, 100), (64, 96), 80 / 100),
        ("longest", (300, 30), (96, 32), 80 / 300),
    ],
)
def test_sides_by_hand(fit: str, size: tuple[int, int], shape: tuple[int, int], scale: float) -> None:
    out, frame = Geometry(50, 80, fit, pad=3).apply(np.full((*size, 3), 200, np.uint8))
    assert out.shape == (*shape, 3)
    assert abs(frame[0, 0] - scale) < 0.5 / min(size)
    height, width = round(size[0] * frame[1, 1]), round(size[1] * frame[0, 0])
    assert (out[:height, :width] == 200).all()
    assert (out[height:] == 3).all()
    assert (out[:, width:] == 3).all()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fit": "letterbx"}, "did you mean 'letterbox"),
        ({"height": 0}, "0 x 9"),
        ({"pad": 256}, "pad is 256"),
        ({"share": 0.0}, "share is 0.0"),
        ({"share": float("nan")}, "share is nan"),
        ({"multiple": 0}, "multiple 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Geometry(**{"height": 9, "width": 9, **wrong})
