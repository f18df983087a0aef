"""Names on pictures can be read: inside the image, apart from each other, in ink that contrasts, in colours that differ."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from sightline.drawing.labels import Label, font_size, labelled, name_or_number, named_regions, place_labels
from sightline.drawing.overlay import CLASS_COLOURS, DASHED, MISSED, RIGHT, WRONG, colour, framed, object_colour
from sightline.drawing.png import caption, enlarged, grid, png_bytes, png_size
from sightline.drawing.shrunk import shrunk
from sightline.drawing.text import BLACK, WHITE, cut, fonts, in_lines, ink, width_of, writable
from sightline.kinds.regions import _names

# Machado et al. 2009, severity 1, in linear RGB
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colours: np.ndarray, deficiency: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB colours (n, 3) as somebody with the deficiency sees them."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.asarray(deficiency).T, 0, 1)
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = seen @ np.array(matrix).T / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


@pytest.mark.parametrize("name", DEFICIENCIES)
def test_colours_of_classes_are_apart_and_not_those_of_right_and_wrong(name):
    outcomes = np.array([RIGHT, WRONG, MISSED])
    classes = np.array(CLASS_COLOURS)
    seen, others = (lab(c, DEFICIENCIES[name]) for c in (classes, outcomes))
    between = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 999 * np.eye(len(seen))
    assert between.min() >= 23
    assert np.linalg.norm(seen[:, None] - others[None], axis=-1).min() >= 23
    assert (np.linalg.norm(others[:, None] - others[None], axis=-1) + 999 * np.eye(3)).min() >= 35


def test_every_class_has_a_colour_and_only_the_first_thirty_one_of_their_own():
    assert len({colour(i) for i in range(30)}) == 30
    assert colour(30) == colour(0)
    assert all(0 <= value <= 255 for i in range(100) for value in colour(i))


def test_the_colours_of_objects_show_on_black_and_on_white():
    chosen = np.array([object_colour(i) for i in range(5)])
    assert len(np.unique(chosen, axis=0)) == 5
    for background in (0, 255):
        distance = np.linalg.norm(lab(chosen, np.eye(3)) - lab(np.full((1, 3), background), np.eye(3)), axis=1)
        assert distance.min() >= 40


def test_one_class_needs_no_name_on_its_boxes():
    boxes = np.array([[10.0, 20.0, 60.0, 70.0]])
    assert [n.texts for n in _names(boxes, [0], ["nucleus"])] == [()]
    assert [n.texts for n in _names(boxes, [0], ["nucleus"], [0.97])] == [("0.97",)]
    assert [n.texts for n in _names(boxes, [0], ["cat", "dog"], [0.97])] == [("cat 0.97", "0.97")]


def crowded(count: int) -> list[Label]:
    draw = np.random.default_rng(5)
    corners = draw.uniform(-20, 300, (count, 2))
    boxes = np.concatenate([corners, corners + draw.uniform(5, 120, (count, 2))], 1)
    return [Label(tuple(b), (f"platelets {i / 100:.2f}", f"{i / 100:.2f}"), colour(i)) for i, b in enumerate(boxes)]


def test_labels_lie_inside_and_never_on_each_other():
    placed = place_labels(crowded(60), 320, 416, 13)
    assert 20 <= len(placed) <= 60
    for i, chip in enumerate(placed):
        left, top, right, bottom = chip.at
        assert 0 <= left < right <= 416
        assert 0 <= top < bottom <= 320
        for other in placed[:i]:
            a, b = chip.at, other.at
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_the_first_labels_win_and_take_the_short_form_before_they_vanish():
    box = (10.0, 30.0, 60.0, 40.0)
    labels = [Label(box, (f"name {i}", f"{i}"), (0, 0, 0)) for i in range(12)]
    placed = place_labels(labels, 60, 120, 13)
    assert placed[0].text == "name 0"
    assert placed[0].at[3] == 30  # above its box
    assert 1 < len(placed) < 12
    narrow = place_labels([Label((0.0, 20.0, 20.0, 40.0), ("a very long name 0.97", "0.97"), (0, 0, 0))], 60, 40, 13)
    assert [chip.text for chip in narrow] == ["0.97"]


def test_a_label_without_room_is_left_out():
    assert place_labels([Label((0.0, 0.0, 4.0, 4.0), ("name",), (0, 0, 0))], 6, 6, 13) == []
    picture = np.zeros((6, 6, 3), np.uint8)
    assert np.array_equal(labelled(picture, [Label((0.0, 0.0, 4.0, 4.0), ("name",), (9, 9, 9))]), picture)


def test_the_chip_has_its_colour_and_readable_ink():
    picture = np.full((80, 200, 3), 128, np.uint8)
    for hue in (*CLASS_COLOURS, RIGHT, WRONG, MISSED):
        drawn = labelled(picture, [Label((20.0, 30.0, 120.0, 70.0), ("W",), hue)])
        chip = drawn[:30].reshape(-1, 3)
        assert (chip == hue).all(1).any()
        light = {BLACK: 0.0, WHITE: 1.0}[ink(hue)]
        share = np.array(hue) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        own = float(linear @ [0.2126, 0.7152, 0.0722])
        assert (max(light, own) + 0.05) / (min(light, own) + 0.05) >= 4.5  # WCAG 2, AA
        assert (chip == ink(hue)).all(1).any()


def test_the_font_grows_with_pictures_that_will_be_shrunk():
    assert font_size(np.zeros((320, 416, 3), np.uint8)) == 13
    assert font_size(np.zeros((640, 1280, 3), np.uint8)) == 26


def test_regions_are_named_where_they_are_thick():
    index = np.zeros((120, 240), np.int64)
    index[:, 120:], index[:3, :60] = 1, 2
    picture = np.full((120, 240, 3), 90, np.uint8)
    drawn = named_regions(picture, index, ["sky", "road", "a sliver"])
    changed = (drawn != picture).any(2)
    assert changed[20:, :120].any()
    assert changed[:, 120:].any()
    assert not changed[:10, :60].any()  # no room for the third
    assert np.array_equal(
        named_regions(picture, np.full((120, 240), 255), ["sky"]), picture
    )  # ignored pixels have no name


def test_wrong_frames_are_dashed():
    picture = np.zeros((60, 90, 3), np.uint8)
    box = np.array([[10.0, 10.0, 80.0, 50.0]])
    solid = (framed(picture, box, [WRONG], thick=2) == WRONG).all(2)
    dashed = (framed(picture, box, [WRONG], thick=2, dashes=[DASHED]) == WRONG).all(2)
    assert 0.4 < dashed.sum() / solid.sum() < 0.7
    assert not (dashed & ~solid).any()


def test_what_no_font_can_write_becomes_plain_or_a_number():
    assert writable("Café <&\"'>", 13) is not None
    assert name_or_number(["dog", "\U0001f9ff"], 0, 18) == "dog"
    assert name_or_number(["dog", "\U00012000\U00012001"], 1, 18) == "class 1"
    assert name_or_number(["x" * 90], 0, 18) == "x" * 9 + "…" + "x" * 8
    evil = name_or_number(["<b>\u202e\x00"], 0, 30)
    assert evil == "<b>\\u202e\\u0000"  # visible, as on the page


def test_captions_fit_under_their_picture():
    font = fonts(12)[0]
    assert in_lines("cat", 96, font) == ["cat"]
    first, second = in_lines("Greater_Swiss_Mountain_dog_of_the_north", 96, font)
    assert first.endswith("_")
    assert max(width_of(first, font), width_of(second, font)) <= 96
    assert "…" in second
    assert width_of(cut("w" * 300, 96, font), font) <= 96
    strip = caption("a name", 96)
    assert strip.shape[1] == 96
    assert (strip == 0).any()
    assert caption("", 96).shape[0] == 0


def test_a_grid_with_captions_keeps_its_pictures():
    pictures = [np.full((96, 96, 1), v, np.uint8) for v in (10, 20, 30)]
    sheet = grid(pictures, columns=2, captions=["one", "", "a name that needs two lines"])
    cell = sheet.shape[0] // 2 + 2
    assert (sheet[:96, :96] == 10).all()
    assert (sheet[:96, 100:196] == 20).all()
    assert (sheet[cell : cell + 96, :96] == 30).all()
    below = sheet[96 : cell - 4]
    assert (below[:, :96] < 128).any()
    assert (below[:, 100:] == 255).all()  # nothing is known of the second
    assert grid(pictures, columns=2, captions=["", "", ""]).shape == grid(pictures, columns=2).shape


def test_enlarged_keeps_every_pixel():
    picture = np.arange(160 * 208 * 3, dtype=np.uint32).astype(np.uint8).reshape(160, 208, 3)
    large = enlarged(picture)
    assert large.shape == (320, 416, 3)
    assert np.array_equal(large[::2, ::2], picture)
    assert enlarged(np.zeros((700, 900, 3), np.uint8)).shape == (700, 900, 3)
    assert enlarged(np.zeros((400, 500, 1), np.uint8)).shape == (400, 500, 1)


def test_pictures_are_shrunk_until_they_fit():
    noise = png_bytes(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
    small = shrunk(noise, most=400, limit=30_000)
    assert len(small) <= 30_000
    width, height = png_size(small)
    assert 100 < width < 400
    assert width / height == pytest.approx(4 / 3, abs=0.02)
    assert Image.open(io.BytesIO(small)).mode == "P"
