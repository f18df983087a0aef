"""Small annotated data sets on disk for tests: images with masks, COCO's JSON, Pascal VOC's XML."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.tiny_data import noise

Box = tuple[float, float, float, float]
HEIGHT, WIDTH = 12, 16


def picture(path: Path, number: int, height: int = HEIGHT, width: int = WIDTH, orientation: int = 1) -> Path:
    """Noise; stored with `height` and `width` and, where not 1, an EXIF orientation."""
    return save(path, noise(number, height, width), orientation)


def save(path: Path, pixels: np.ndarray, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    if orientation != 1:
        exif[274] = orientation
    image.save(path, exif=exif)
    return path


def mask_png(path: Path, values: np.ndarray, mode: str = "L", bits: int = 8) -> Path:
    """Class indexes as a grey or palette PNG of so many bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "P":
        image = Image.fromarray(values.astype(np.uint8), "P")
        image.putpalette([7 * i % 256 for i in range(3 * (1 << bits))])
    elif bits == 1:
        image = Image.fromarray(values.astype(bool))
    else:
        image = Image.fromarray(values.astype(np.uint8), "L")
    out = io.BytesIO()
    image.save(out, "PNG", **({"bits": bits} if mode == "P" else {}))
    path.write_bytes(out.getvalue())
    return path


def masked(root: Path, splits: Mapping[str, int], classes: str = "sky\nroad\nvoid\n") -> Path:
    """images/, masks/, classes.txt and a list a split; every mask holds 0 and 1 and, in its first row, 2."""
    number = 0
    for split, count in splits.items():
        names = [f"{split}{i}" for i in range(count)]
        for name in names:
            values = np.zeros((HEIGHT, WIDTH), np.uint8)
            values[6:] = 1
            values[0] = 2
            picture(root / "images" / f"{name}.png", number)
            mask_png(root / "masks" / f"{name}.png", values)
            number += 1
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")
    (root / "classes.txt").write_text(classes)
    return root


def coco(images: Sequence[Mapping[str, Any]], annotations: Sequence[Any], categories: Any = None) -> dict[str, Any]:
    """A COCO file; the classes are cat (1) and dog (2) where none are given."""
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}] if categories is None else categories
    return {"images": list(images), "annotations": list(annotations), "categories": categories}


def coco_folder(root: Path, annotations: Sequence[Any], count: int = 2, name: str = "all.json", **more: Any) -> Path:
    """`count` images 1.png … with the ids 1 … in images/, and one JSON file."""
    entries = []
    for id in range(1, count + 1):
        picture(root / "images" / f"{id}.png", id)
        entries.append({"id": id, "file_name": f"{id}.png", "height": HEIGHT, "width": WIDTH})
    write_json(root / name, coco(entries, annotations, **more))
    return root


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def annotation(id: int, image: int = 1, category: int = 1, bbox: Any = (1, 2, 3, 4), **more: Any) -> dict[str, Any]:
    bbox = list(bbox) if isinstance(bbox, tuple) else bbox
    return {"id": id, "image_id": image, "category_id": category, "bbox": bbox, **more}


def voc_xml(objects: Sequence[tuple[str, Box]], size: tuple[int, int] | None = (HEIGHT, WIDTH), more: str = "") -> str:
    """One annotation; an object takes three lines, the first at line 3. `more` goes into every object."""
    stated = "" if size is None else f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
    lines = ["<annotation>", stated]
    for name, box in objects:
        corners = "".join(f"<{c}>{v}</{c}>" for c, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        lines += ["<object>", f"<name>{name}</name>{more}", f"<bndbox>{corners}</bndbox></object>"]
    return "\n".join([*lines, "</annotation>"])


def voc(root: Path, pages: Mapping[str, str], splits: Mapping[str, Sequence[str]] | None = None) -> Path:
    """JPEGImages/NAME.png and Annotations/NAME.xml for every page, and ImageSets/Main where splits are given."""
    for number, (name, text) in enumerate(pages.items()):
        picture(root / "JPEGImages" / f"{name}.png", number)
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(text)
    for split, names in (splits or {}).items():
        (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))
    return root
