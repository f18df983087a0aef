"""Masks as published trees and other tools lay them out: every pixel's class is the one that was painted."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.formats.pixels.published import CAMVID, CITYSCAPES, VOC, voc_palette
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError
from sightline.storage.files import make_folder
from tests.tiny_annotated import HEIGHT, WIDTH, mask_png, picture

IGNORED = 255
COLOURS = {"road": (128, 64, 128), "sky": (70, 130, 180), "Void": (0, 0, 0), "car": (0, 0, 142)}


def painted(number: int, values: list[int]) -> np.ndarray:
    """(HEIGHT, WIDTH): the values in turn, each in stripes of two rows or more, beginning with another one in each image."""
    tall = max(HEIGHT // len(values), 1)
    row = (np.arange(HEIGHT) // tall + number) % len(values)
    return np.repeat(np.array(values, np.uint8)[row][:, None], WIDTH, axis=1)


def opened(root: Path) -> Dataset:
    return build_dataset(str(root), needs="images", workers=1)


def truths(root: Path) -> dict[str, np.ndarray]:
    data = opened(root)
    return {record.name: data.truth(record.id) for record in data.records if data.used[record.id]}


def save(
    path: Path, pixels: np.ndarray, mode: str | None = None, palette: np.ndarray | None = None, **more: object
) -> Path:
    make_folder(path.parent)
    image = Image.fromarray(pixels)
    if palette is not None:
        image = Image.fromarray(pixels, "P")
        image.putpalette(palette.reshape(-1).tolist())
    image.save(path, **more)
    return path


def in_colour(values: np.ndarray, colours: dict[str, tuple[int, int, int]] = COLOURS) -> np.ndarray:
    return np.array(list(colours.values()), np.uint8)[values]


# ------------------------------------------------------------------------------------------------ published trees
def voc_tree(root: Path, names: list[str], values: list[int], palette: np.ndarray | None) -> Path:
    for number, name in enumerate(names):
        picture(root / "JPEGImages" / f"{name}.jpg", number)
        save(root / "SegmentationClass" / f"{name}.png", painted(number, values), palette=palette)
        save(root / "SegmentationObject" / f"{name}.png", painted(number, [1, 2, 0]), palette=palette)
    picture(root / "JPEGImages" / "boxes_only.jpg", 99)
    return root


def test_vocs_segmentation(tmp_path: Path) -> None:
    names = [f"{i:03}" for i in range(6)]
    root = voc_tree(tmp_path, names, [0, 15, 255, 20], voc_palette())
    lists = root / "ImageSets" / "Segmentation"
    make_folder(lists)
    (lists / "train.txt").write_text("\n".join(names[:4]))
    (lists / "val.txt").write_text("\n".join(names[4:]))
    data = opened(root)
    assert (data.kind, data.classes) == ("masks", VOC)
    assert [data.records[i].split for i in data.ids()] == ["train"] * 4 + ["val"] * 2
    for number, id in enumerate(data.ids().tolist()):
        np.testing.assert_array_equal(data.truth(id), painted(number, [0, 15, IGNORED, 20]))
    assert any("the 21 classes of Pascal VOC" in note for note in data.notes)
    assert "images in no list, not used: 1" in data.notes


def test_vocs_names_are_not_given_to_other_peoples_values(tmp_path: Path) -> None:
    voc_tree(tmp_path, ["a", "b", "c"], [0, 1, 2], None)
    with pytest.raises(DataError, match=r"no classes\.txt, and its masks hold 0, 1, 2"):
        open_data(str(tmp_path))
    (tmp_path / "class_names.txt").write_text("_background_\ncell\nnucleus\n")
    assert open_data(str(tmp_path)).classes == ("_background_", "cell", "nucleus")


def test_vocs_boxes_come_first_and_its_masks_by_their_folder(tmp_path: Path) -> None:
    root = voc_tree(tmp_path, ["a", "b", "c"], [0, 15], voc_palette())
    make_folder(root / "Annotations")
    box = "<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>"
    for name in "abc":
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{box}</annotation>")
    boxes = open_data(str(root))
    assert boxes.kind == "voc" and any("SegmentationClass" in note for note in boxes.notes)
    masks = open_data(str(root / "SegmentationClass"))
    assert masks.kind == "masks" and [r.name for r in masks.records] == [f"JPEGImages/{n}.jpg" for n in "abc"]


def cityscapes_tree(root: Path, kinds: dict[str, list[int]]) -> Path:
    number = 0
    for split, city in (("train", "aachen"), ("train", "bochum"), ("val", "lindau"), ("test", "berlin")):
        for frame in range(2):
            name = f"{city}_000{frame}_000019"
            picture(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", number)
            for kind, values in kinds.items():
                shown = [0, 1, 3] if split == "test" and kind == "labelIds" else [255] if split == "test" else values
                mask_png(root / "gtFine" / split / city / f"{name}_gtFine_{kind}.png", painted(number, shown))
            mask_png(root / "gtFine" / split / city / f"{name}_gtFine_instanceIds.png", painted(number, [9]))
            number += 1
    return root


@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_cityscapes(tmp_path: Path, kind: str) -> None:
    ids = [7, 8, 26, 33, 0, 4, 29, 255] if kind == "labelIds" else [0, 1, 13, 18, 255, 255, 255, 255]
    places = [0, 1, 13, 18, IGNORED, IGNORED, IGNORED, IGNORED]
    root = cityscapes_tree(tmp_path, {kind: ids})
    data = opened(root)
    assert data.classes == tuple(CITYSCAPES) and len(data.classes) == 19
    assert [data.records[i].split for i in data.ids()] == ["train"] * 4 + ["val"] * 2
    for number, id in enumerate(data.ids().tolist()):
        np.testing.assert_array_equal(data.truth(id), painted(number, places))
    assert not data.problems and any("all other values are ignored" in note for note in data.notes)
    assert any("hold no class" in note and note.endswith("2") for note in data.notes)


def test_cityscapes_without_label_ids_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without its labelIds"):
        open_data(str(cityscapes_tree(tmp_path, {})))


def test_camvid_in_segnets_form(tmp_path: Path) -> None:
    number = 0
    for split in ("train", "val", "test"):
        lines = []
        for _ in range(3):
            name = f"0001TP_{number:06}.png"
            picture(tmp_path / split / name, number)
            mask_png(tmp_path / f"{split}annot" / name, painted(number, [0, 3, 10, 11]))
            lines.append(f"/SegNet/CamVid/{split}/{name} /SegNet/CamVid/{split}annot/{name}")
            number += 1
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    data = opened(tmp_path)
    assert data.classes == CAMVID
    assert sorted(data.records[i].split or "" for i in data.ids()) == ["test"] * 3 + ["train"] * 3 + ["val"] * 3
    for name, truth in truths(tmp_path).items():
        np.testing.assert_array_equal(truth, painted(int(name[-10:-4]), [0, 3, 10, IGNORED]))


def test_camvid_as_first_published(tmp_path: Path) -> None:
    for number in range(4):
        name = f"0016E5_{number:05}"
        picture(tmp_path / "701_StillsRaw_full" / f"{name}.png", number)
        save(tmp_path / "LabeledApproved_full" / f"{name}_L.png", in_colour(painted(number, [0, 1, 2, 3])))
    (tmp_path / "label_colors.txt").write_text("".join(f"{r} {g} {b}\t\t{n}\n" for n, (r, g, b) in COLOURS.items()))
    data = opened(tmp_path)
    assert data.classes == ("road", "sky", "car")
    for number, id in enumerate(data.ids().tolist()):
        np.testing.assert_array_equal(data.truth(id), painted(number, [0, 1, IGNORED, 2]))
    assert "masks: label_colors.txt gives 4 colours; ignored: Void" in data.notes and not data.problems


# ------------------------------------------------------------------------------------------------ tables of colours
def table_text(file: str) -> str:
    rows = [(name, *colour) for name, colour in COLOURS.items()]
    if file.endswith(".json"):
        entries = [{"name": name, "color": f"#{r:02X}{g:02x}{b:02x}"} for name, r, g, b in rows]
        return json.dumps({"classes": entries} if file.startswith("classes") else {n: list(c) for n, *c in rows})
    if file == "labelmap.txt":
        return "# label:color_rgb:parts:actions\n" + "".join(f"{n}:{r},{g},{b}::\n" for n, r, g, b in rows)
    if file.endswith(".txt"):
        return "".join(f"{r} {g} {b} {name}\n" for name, r, g, b in rows)
    out = io.StringIO()
    csv.writer(out).writerows(
        [("name", "r", "g", "b") if file == "class_dict.csv" else (" Name", "Red ", "green", "blue"), *rows]
    )
    return out.getvalue()


def coloured(root: Path, file: str, count: int = 3) -> Path:
    for number in range(count):
        picture(root / "images" / f"{number}.png", number)
        save(root / "masks" / f"{number}.png", in_colour(painted(number, [0, 1, 2, 3])))
    (root / file).write_text(table_text(file))
    return root


@pytest.mark.parametrize(
    "file", ["label_colors.txt", "labelmap.txt", "class_dict.csv", "classes.csv", "colormap.json", "classes.json"]
)
def test_masks_in_colour_are_looked_up(tmp_path: Path, file: str) -> None:
    for number, (_, truth) in enumerate(truths(coloured(tmp_path, file)).items()):
        np.testing.assert_array_equal(truth, painted(number, [0, 1, IGNORED, 2]))
    assert open_data(str(tmp_path)).classes == ("road", "sky", "car")


def test_colours_beyond_the_table_are_counted_listed_and_ignored(tmp_path: Path) -> None:
    root = coloured(tmp_path, "class_dict.csv")
    pixels = in_colour(painted(0, [0, 1]))
    pixels[0, :3] = (128, 64, 129)
    pixels[1, 0] = (1, 2, 3)
    save(root / "masks" / "0.png", pixels)
    save(root / "masks" / "1.png", np.full((HEIGHT, WIDTH, 3), 7, np.uint8))
    data = opened(root)
    wanted = painted(0, [0, 1])
    wanted[0, :3] = wanted[1, 0] = IGNORED
    np.testing.assert_array_equal(data.truth(0), wanted)
    first, second = sorted(data.problems, key=lambda p: p.file)
    count = f"4 of {HEIGHT * WIDTH} pixels have colours that class_dict.csv does not hold: #804081, #010203"
    assert (first.action, first.reason) == ("ignored", f"unknown-colour: {count}")
    assert second.action == "quarantined" and "#070707" in second.reason


def test_a_palette_counts_by_its_colours_and_grey_masks_by_their_rows(tmp_path: Path) -> None:
    root = coloured(tmp_path / "palette", "class_dict.csv")
    palette = np.array([*list(COLOURS.values())[::-1]], np.uint8)  # 0 is car, 1 is Void …
    save(root / "masks" / "0.png", painted(0, [3, 2, 1, 0]), palette=palette)
    np.testing.assert_array_equal(truths(root)["images/0.png"], painted(0, [0, 1, IGNORED, 2]))
    root = coloured(tmp_path / "grey", "class_dict.csv")
    for number in range(3):
        mask_png(root / "masks" / f"{number}.png", painted(number, [0, 1, 2, 3]))
    np.testing.assert_array_equal(truths(root)["images/0.png"], painted(0, [0, 1, IGNORED, 2]))
    assert any("taken for the rows of class_dict.csv" in note for note in opened(root).notes)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name,r,g,b\nroad,1,2,3\nsky,1,2,3\n", "line 3: road and sky have the same colour"),
        ("name,r,g,b\nroad,1,2,300\n", r"line 2: \(1, 2, 300\) is no colour"),
        ("name,r,g,b\nroad,1,2\n", "line 2: 'road,1,2' is not a name and a colour"),
    ],
)
def test_a_wrong_table_is_named_by_line(tmp_path: Path, text: str, why: str) -> None:
    root = coloured(tmp_path, "class_dict.csv")
    (root / "class_dict.csv").write_text(text)
    with pytest.raises(DataError, match=f"class_dict.csv {why}"):
        open_data(str(root))


def test_masks_in_colour_as_jpeg_stay_refused(tmp_path: Path) -> None:
    root = coloured(tmp_path, "class_dict.csv")
    for number in range(3):
        (root / "masks" / f"{number}.png").unlink()
        save(root / "masks" / f"{number}.jpg", in_colour(painted(number, [0, 1])))
    with pytest.raises(DataError, match="JPEG invents values"):
        open_data(str(root))


# ------------------------------------------------------------------------------------------------ names
@pytest.mark.parametrize("tail", ["_mask", "_Mask", "-label", ".seg", "_gt"])
def test_masks_beside_their_images_in_one_folder(tmp_path: Path, tail: str) -> None:
    for number in range(3):
        picture(tmp_path / "set" / f"scan {number}.jpg", number)
        mask_png(tmp_path / "set" / f"scan {number}{tail}.png", painted(number, [0, 0, 255]))
    found = truths(tmp_path)
    assert list(found) == [f"set/scan {number}.jpg" for number in range(3)]
    for number, truth in enumerate(found.values()):
        np.testing.assert_array_equal(truth, painted(number, [0, 0, 1]))


def test_satellite_images_beside_masks_in_colour_by_split(tmp_path: Path) -> None:
    """DeepGlobe's tree: train/7_sat.jpg beside train/7_mask.png."""
    for number, split in enumerate(("train", "train", "valid")):
        picture(tmp_path / split / f"{number}_sat.jpg", number)
        save(tmp_path / split / f"{number}_mask.png", in_colour(painted(number, [0, 1, 3])))
    (tmp_path / "class_dict.csv").write_text(table_text("class_dict.csv"))
    data = opened(tmp_path)
    assert [data.records[i].split for i in data.ids()] == ["train", "train", "val"]
    np.testing.assert_array_equal(data.truth(0), painted(0, [0, 1, 2]))


def test_carvanas_pairs_of_jpeg_and_gif(tmp_path: Path) -> None:
    black_white = np.array([(0, 0, 0), (255, 255, 255)], np.uint8)
    for number in range(3):
        picture(tmp_path / "train" / f"car_{number:02}.jpg", number)
        white_first = painted(number, [1, 0]) ^ (number == 2)
        palette = black_white if number < 2 else black_white[::-1].copy()
        save(tmp_path / "train_masks" / f"car_{number:02}_mask.gif", white_first, palette=palette)
    data = opened(tmp_path)
    assert data.classes == ("background", "foreground") and len(data) == 3
    for number, id in enumerate(data.ids().tolist()):
        np.testing.assert_array_equal(data.truth(id), painted(number, [1, 0]))


@pytest.mark.parametrize("end", ["bmp", "tif"])
def test_masks_in_other_lossless_formats(tmp_path: Path, end: str) -> None:
    for number in range(3):
        picture(tmp_path / "images" / f"{number}.png", number)
        save(tmp_path / "masks" / f"{number}.{end}", painted(number, [0, 1, 1]))
    for number, truth in enumerate(truths(tmp_path).values()):
        np.testing.assert_array_equal(truth, painted(number, [0, 1, 1]))


def test_masks_in_folders_that_may_be_classes_stay_refused(tmp_path: Path) -> None:
    for number, label in enumerate(("benign", "malignant")):
        for i in range(3):
            picture(tmp_path / label / f"{i}.png", 10 * number + i)
            mask_png(tmp_path / label / f"{i}_mask.png", painted(i, [0, 255]))
    with pytest.raises(DataError, match="masks in one folder"):
        open_data(str(tmp_path))


# ------------------------------------------------------------------------------------------------ stacks
def stack(path: Path, pages: list[np.ndarray]) -> Path:
    make_folder(path.parent)
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=rest)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_pages_of_a_stack_are_images(tmp_path: Path, cache: Path) -> None:
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8) for _ in range(20)]
    stack(tmp_path / "em" / "train-volume.tif", images)
    stack(tmp_path / "em" / "train-labels.tif", [painted(i, [0, 255]) for i in range(20)])
    data = opened(tmp_path / "em")
    assert (data.name, len(data), data.classes) == ("em", 20, ("background", "foreground"))
    assert [data.records[i].split for i in range(20)] == ["train"] * 14 + ["val"] * 3 + ["test"] * 3
    for i in range(20):
        np.testing.assert_array_equal(data.pixels(i, channels=1)[..., 0], images[i])
        np.testing.assert_array_equal(data.truth(i), painted(i, [0, 1]))
    assert any("pages 1 to 14 are train" in note for note in data.notes)


def test_the_pages_of_several_stacks_stay_together(tmp_path: Path, cache: Path) -> None:
    rng = np.random.default_rng(4)
    for name in "abcdefgh":
        pages = [rng.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16) for _ in range(3)]
        stack(tmp_path / "set" / "images" / f"{name}.tif", pages)
        stack(tmp_path / "set" / "masks" / f"{name}.tif", [painted(i, [0, 1, 2]) for i in range(3)])
    (tmp_path / "set" / "classes.txt").write_text("ground\nroad\ntree\n")
    data = opened(tmp_path / "set")
    assert data.classes == ("ground", "road", "tree") and len(data) == 24
    groups = {}
    for i in data.ids().tolist():
        groups.setdefault(data.records[i].group, set()).add(int(data.split[i]))
        np.testing.assert_array_equal(data.truth(i), painted(i % 3, [0, 1, 2]))
    assert len(groups) == 8 and all(len(splits) == 1 for splits in groups.values())


def test_stacks_that_do_not_fit_are_refused(tmp_path: Path, cache: Path) -> None:
    stack(tmp_path / "train-volume.tif", [painted(i, [0, 9]) for i in range(3)])
    stack(tmp_path / "train-labels.tif", [painted(i, [0, 255]) for i in range(2)])
    with pytest.raises(DataError, match=r"train-volume\.tif has 3 pages, train-labels\.tif has 2"):
        open_data(str(tmp_path))
