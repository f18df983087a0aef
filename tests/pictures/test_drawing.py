"""Charts say what their numbers say; pictures keep their pixels and nothing else."""

from __future__ import annotations

import io
import math
import re
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image, PngImagePlugin

from sightline.drawing.axes import Scale, apart, finite_range, log_ticks, tick_labels, ticks
from sightline.drawing.bars import Point, Row, headline_strip, interval_rows, interval_strip
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.matrix import KEPT_CLASSES, confusion_table, fold
from sightline.drawing.png import data_uri, fitted, grid, png_bytes, png_size, reencoded
from sightline.drawing.shrunk import shrunk
from sightline.drawing.svg import element, number, shortened
from sightline.drawing.swatch import share_bar, swatch

FRAME = Frame("Loss", "training falls from 2 to 1", "epoch", "loss")


def parsed(markup: Markup) -> xml.Element:
    """The drawing as XML; also proves that it is well-formed and carries neither style nor handlers."""
    root = xml.fromstring(str(markup))
    for node in root.iter():
        assert not [a for a in node.attrib if a == "style" or a.startswith("on")]
    return root


def path_of(root: xml.Element) -> list[tuple[str, float, float]]:
    steps = "".join(node.attrib["d"] for node in root.iter("path"))
    return [(c, float(x), float(y)) for c, x, y in re.findall(r"([ML])([-\d.]+) ([-\d.]+)", steps)]


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 37, 4, [0, 10, 20, 30]),
        (-3, 3, 3, [-2, 0, 2]),
        (0.912, 0.987, 4, [0.92, 0.94, 0.96, 0.98]),
    ],
)
def test_ticks_are_round_and_inside(low, high, count, expected):
    assert ticks(low, high, count) == pytest.approx(expected)


def test_ticks_of_any_range_are_few_and_inside():
    draw = np.random.default_rng(0)
    for _ in range(300):
        low = draw.normal() * 10 ** draw.uniform(-6, 6)
        high = low + 10 ** draw.uniform(-6, 6)
        found = ticks(low, high, 5)
        assert 3 <= len(found) <= 9
        slack = (high - low) * 1e-6
        assert all(low - slack <= v <= high + slack for v in found)


def test_log_ticks_and_labels():
    assert log_ticks(0.01, 100) == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert log_ticks(0.08, 2.1) == pytest.approx([0.1, 0.2, 0.5, 1, 2])
    assert tick_labels([0, 0.0005, 0.001]) == ["0", "0.0005", "0.0010"]
    assert tick_labels([0, 2000, 4000]) == ["0", "2,000", "4,000"]
    assert tick_labels([0, 500_000, 1_000_000]) == ["0", "0.5M", "1.0M"]
    assert tick_labels([-2, 0, 2]) == ["−2", "0", "2"]
    assert tick_labels([1e-6, 1e-5], log=True) == ["1e−6", "1e−5"]


def test_scale_places_and_clips():
    assert Scale(0, 10, 100, 200)(2.5) == 125
    assert Scale(0, 10, 100, 200)(99) == 200
    assert Scale(0.01, 100, 0, 40, log=True)(1) == pytest.approx(20)
    assert finite_range([math.nan, 3.0, 1.0, math.inf]) == (1.0, 3.0)
    assert finite_range([]) == (0.0, 1.0)
    low, high = finite_range([3.0, 3.0000000000000004], log=True)  # apart by a rounding only
    assert low < 2 < 4 < high
    low, high = finite_range([5.0, 5.0])
    assert low < 5 < high


def test_labels_are_moved_apart_in_order():
    assert apart([10, 11, 12], 5, 0, 100) == [10, 15, 20]
    assert apart([98, 99], 5, 0, 100) == [95, 100]
    assert apart([12, 10], 5, 0, 100) == [15, 10]


def test_line_goes_through_its_points():
    frame = Frame("t", "d", "x", "y", x_range=(0, 2), y_range=(0, 1))
    root = parsed(line_chart([Line("", [0, 1, 2], [0, 0.5, 1])], frame))
    (_, x0, y0), (_, x1, y1), (_, x2, y2) = path_of(root)
    assert x0 < x1 < x2
    assert y0 > y1 > y2  # up is up
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.02)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.02)


def test_gaps_lone_points_and_nothing():
    broken = parsed(line_chart([Line("a", [0, 1, 2, 3, 4], [1, 2, math.nan, 3, 2])], FRAME))
    assert [step for step, _, _ in path_of(broken)] == ["M", "L", "M", "L"]
    lone = parsed(line_chart([Line("a", [3], [1])], FRAME))
    assert len(list(lone.iter("circle"))) == 1
    empty = parsed(line_chart([Line("a", [], [])], FRAME))
    assert not path_of(empty)
    log = Frame("t", "d", "x", "y", log_y=True)
    assert len(path_of(parsed(line_chart([Line("a", [0, 1, 2, 3], [0, -1, 0.1, 1])], log)))) == 2


def test_long_histories_keep_their_extremes():
    x = np.arange(20_000.0)
    y = np.sin(x / 50) + np.where(x == 12_345, 7, 0) - np.where(x == 777, 9, 0)
    frame = Frame("t", "d", "x", "y", x_range=(0, 19_999), y_range=(-10, 10))
    whole = path_of(parsed(line_chart([Line("", x[:400].tolist(), y[:400].tolist())], frame)))
    thin = path_of(parsed(line_chart([Line("", x.tolist(), y.tolist())], frame)))
    assert len(whole) == 400
    assert len(thin) <= 500
    heights = sorted(step[2] for step in thin)
    top, bottom = Scale(-10, 10, 250 - 36, 30)(y.max()), Scale(-10, 10, 250 - 36, 30)(y.min())
    assert heights[0] == pytest.approx(top, abs=0.01)
    assert heights[-1] == pytest.approx(bottom, abs=0.01)


def test_charts_can_be_heard_and_are_escaped():
    evil = '<script>"&\u202e\x00'
    root = parsed(line_chart([Line(evil, [0, 1], [0, 1])], Frame(evil, "two <lines>", evil, "y")))
    assert root[0].tag == "title"
    assert root[0].text == '<script>"&\\u202e\\u0000'
    assert root[1].tag == "desc"
    assert root[1].text == "two <lines>"
    assert root.attrib["role"] == "img"
    assert {node.tag for node in root.iter()} <= {"svg", "title", "desc", "line", "text", "path"}
    assert str(element("text", {"class": 'a"b'}, Markup("<b></b>"), "<")) == '<text class="a&#34;b"><b></b>&lt;</text>'


def test_names_of_lines_do_not_overlap():
    lines = [Line(f"line {i}", [0, 1], [0, 0.5 + i / 1000]) for i in range(6)]
    root = parsed(line_chart(lines, FRAME))
    heights = sorted(float(t.attrib["y"]) for t in root.iter("text") if "c-name" in t.attrib["class"])
    assert len(heights) == 6
    assert min(np.diff(heights)) >= 13.9


def test_reliability_dots_have_area_and_stems():
    frame = Frame("t", "d", "x", "y", x_range=(0, 1), y_range=(0, 1), square=True, reference=True)
    root = parsed(line_chart([Line("", [0.5, 0.9], [0.4, 0.9], sizes=[0.1, 1.0])], frame))
    assert [float(c.attrib["r"]) for c in root.iter("circle")] == pytest.approx([2.45, 11])
    assert len([s for s in root.iter("line") if s.attrib["class"] == "c-stem"]) == 2


def test_coordinates_are_finite_and_short():
    assert [number(v) for v in (1.0, 1.256, -0.001, np.float32(2.5), 7)] == ["1", "1.26", "0", "2.5", "7"]
    with pytest.raises(ValueError, match="finite"):
        number(math.nan)


def test_intervals_lie_where_they_are():
    strip = parsed(interval_strip(0.5, 0.25, 0.75, tone="one", title="t"))
    whisker = next(s for s in strip.iter("line") if "c-whisker" in s.attrib["class"])
    assert (float(whisker.attrib["x1"]), float(whisker.attrib["x2"])) == (40, 110)
    assert float(next(strip.iter("circle")).attrib["cx"]) == 75
    rows = [Row("train", 0.99, 0.98, 1.0, "99 %"), Row("val", 0.9, 0.85, 0.94, "90 %")]
    chart = parsed(interval_rows(rows, title="t", description="d"))
    train, val = (float(c.attrib["cx"]) for c in chart.iter("circle"))
    assert train > val
    head = parsed(headline_strip(0.9, 0.88, 0.92, others=[Point(0.5, "guessing"), Point(0.51, "training")], title="t"))
    at = [float(t.attrib["x"]) for t in head.iter("text")]
    assert at[1] - at[0] > 50  # two names at nearly one place stand apart


def test_confusion_table_counts_every_sample():
    counts = np.array([[5, 0, 1], [0, 7, 0], [2, 0, 0]])
    table = str(confusion_table(fold(counts, ["a", "<b>", "c"]), caption="all"))
    root = xml.fromstring(table)
    cells = [c.text or "" for c in root.iter("td") if "h" in c.attrib["class"]]
    assert cells == ["5", "", "1", "", "7", "", "2", "", ""]
    assert [c.text for c in root.iter("td") if c.attrib["class"] == "total"] == ["6", "7", "2"]
    assert [th.attrib["scope"] for th in root.iter("th")] == ["col"] * 4 + ["row"] * 3
    assert "<b>" not in table
    said = [c.attrib["title"] for c in root.iter("td") if c.text and "miss" in c.attrib["class"]]
    assert said == ["true a, predicted c: 1 of 6 (16.7%)", "true c, predicted a: 2 of 2 (100.0%)"]


def test_confusion_of_pixels_is_in_per_cent_of_the_row():
    counts = np.array([[996, 4, 0], [250, 750, 0], [0, 0, 0]])
    root = xml.fromstring(str(confusion_table(fold(counts, ["a", "b", "c"]), caption="all", shares=True)))
    assert [c.text or "" for c in root.iter("td") if "h" in c.attrib["class"]] == [
        "100", "<1", "", "25", "75", "", "", "", "",
    ]  # fmt: skip
    assert [c.text for c in root.iter("td") if c.attrib["class"] == "total"] == ["50\u202f%", "50\u202f%", "0\u202f%"]


def test_swatch_and_bar_say_their_colour_and_share():
    assert next(parsed(swatch((31, 119, 180))).iter("rect")).attrib["fill"] == "rgb(31,119,180)"
    bar = next(parsed(share_bar(0.25, title="t")).iter("rect"))
    assert float(bar.attrib["width"]) == pytest.approx(0.25 * 148)


def test_shrunk_pictures_keep_what_is_seen():
    picture = np.zeros((60, 200, 3), np.uint8)
    picture[:, 50:100], picture[20:40] = (44, 160, 44), (200, 30, 30)
    kept = shrunk(png_bytes(picture), most=200)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(kept)).convert("RGB")), picture)
    assert png_size(shrunk(kept, most=100)) == (100, 30)


def test_many_classes_fold_to_the_confused_ones():
    draw = np.random.default_rng(3)
    counts = np.diag(draw.integers(5, 9, 45))
    counts[40, 3], counts[7, 44] = 30, 25
    counts[11, 12] = 1
    folded = fold(counts, [f"c{i}" for i in range(45)])
    assert folded.counts.sum() == counts.sum()
    assert folded.counts.shape == (KEPT_CLASSES + 1, KEPT_CLASSES + 1)
    assert folded.folded == 45 - KEPT_CLASSES
    assert {"c40", "c3", "c7", "c44", "c11", "c12"} < set(folded.names)
    place = {name: i for i, name in enumerate(folded.names)}
    assert folded.counts[place["c40"], place["c3"]] == 30
    assert 'class="mixed h' in str(confusion_table(folded, caption="c"))
    assert fold(counts[:30, :30], [str(i) for i in range(30)]).folded == 0
    with pytest.raises(ValueError, match="not"):
        fold(counts, ["a"])


def test_png_keeps_pixels_and_drops_the_rest():
    draw = np.random.default_rng(1)
    for shape in ((5, 7, 3), (5, 7, 1), (5, 7)):
        picture = draw.integers(0, 256, shape, np.uint8)
        back = np.asarray(Image.open(io.BytesIO(png_bytes(picture))))
        assert np.array_equal(back, picture.reshape(back.shape))
    secret = PngImagePlugin.PngInfo()
    secret.add_text("Comment", "<script>secret</script>")
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", pnginfo=secret)
    clean = reencoded(stream.getvalue())
    assert b"secret" in stream.getvalue()
    assert b"secret" not in clean
    assert png_size(clean) == (7, 5)
    assert data_uri(clean).startswith("data:image/png;base64,iVBOR")


def test_png_refuses_what_it_is_not():
    with pytest.raises(ValueError, match="not a readable PNG"):
        reencoded(b"GIF89a")
    with pytest.raises(ValueError, match="more than 10"):
        reencoded(png_bytes(np.zeros((4, 4), np.uint8)), most_pixels=10)
    whole = png_bytes(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    with pytest.raises(ValueError, match="not a readable PNG"):
        reencoded(whole[: len(whole) // 2])
    with pytest.raises(TypeError, match="uint8"):
        png_bytes(np.zeros((4, 4)))


def test_tiny_pictures_are_enlarged_by_whole_factors():
    digit = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    large = fitted(digit, least=96, most=256)
    assert large.shape == (96, 96, 1)
    assert np.array_equal(large[::12, ::12], digit)
    assert len(np.unique(large)) == 64  # no smoothing
    assert fitted(np.zeros((1000, 500, 3), np.uint8)).shape == (256, 128, 3)
    assert fitted(np.zeros((1, 20_000), np.uint8)).shape == (1, 256, 1)
    assert fitted(np.zeros((150, 100, 3), np.uint8)).shape == (150, 100, 3)


def test_grid_is_read_like_text():
    pictures = [np.full((8, 8, 1), v, np.uint8) for v in (10, 20, 30)]
    sheet = grid(pictures, columns=2, gap=4, least=8, most=8)
    assert sheet.shape == (20, 20, 3)
    assert (sheet[0, 0, 0], sheet[0, 12, 0], sheet[12, 0, 0]) == (10, 20, 30)
    assert (sheet[12:, 12:] == 255).all()  # the empty place
    with pytest.raises(ValueError, match="at least one"):
        grid([], columns=2)


def test_long_names_keep_both_ends():
    assert shortened("IMG_0001_from_the_left.jpg", 12) == "IMG_00…t.jpg"
    assert shortened("a" * 300, 11) == "aaaaa…aaaaa"
    assert shortened("short", 12) == "short"
    assert shortened("\u202e\u202e\u202e", 12) == "\\u202e…u202e"  # what is hidden counts as it is shown
