"""Faces with landmarks: images with masks, and a file of landmarks for each.

    images/007_03.png   masks/007_03.png   landmarks/007_03.pts

The face is the part of the name before its last underscore. A .pts file has the layout of 300-W: `version: 1`, `n_points: N`,
and one landmark a line between braces, in pixels of the image; here with z, towards the viewer, as a third number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float

from sightline.data.dataset import Dataset
from sightline.data.formats.annotated.masks import MaskAnnotations
from sightline.data.loaders import Images
from sightline.data.records.annotations import Annotations, Inspection, Truth
from sightline.data.records.records import QUARANTINED, Problem, Record
from sightline.data.records.source import Source
from sightline.data.records.upright import Stored
from sightline.data.targets import target_of
from sightline.errors import DataError
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.loading import Truths, load
from sightline.recipes.recipe import Recipe
from sightline.structures.targets import Pictures, Several, Target, Values
from sightline.tasks.faces.swapping import OTHER, SAME

FACES = "faces"  # the kind of such a source
POINTS, LARGEST = 70, 100_000  # landmarks of a face, bytes of their file
_FIX = "use n_points: 70 and lines of x y z, as `sightline faces` writes them"


@final
@dataclass(frozen=True, eq=False)
class FaceAnnotations(Annotations):
    """Masks, and landmarks beside them: `points` image → file below `root`."""

    masks: MaskAnnotations
    root: str
    points: Mapping[str, str]
    knows: Literal["masks"] = "masks"
    unit: Literal["pixels"] = "pixels"

    def truth(self, record: Record) -> Truth:
        return self.masks.truth(record)

    def landmarks(self, record: Record) -> Float[np.ndarray, "70 3"]:
        """In pixels of the image. DataError where the file was changed so that it cannot be read."""
        name = self.points[record.name]
        try:
            return parsed(Path(self.root, name).read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{name} cannot be read any more: {error}", "restore the file") from error

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        looks = self.masks.inspect(records, sizes, workers=workers, cache_dir=cache_dir)
        return [self._with_points(record, look) for record, look in zip(records, looks, strict=True)]

    def _with_points(self, record: Record, look: Inspection) -> Inspection:
        name = self.points[record.name]
        try:
            content = Path(self.root, name).read_bytes()
            parsed(content)
        except (OSError, ValueError) as error:
            problem = Problem(name, None, f"bad-landmarks: {error}", _FIX, QUARANTINED, record.id)
            return Inspection("", look.amount, (*look.problems, problem))
        return look._replace(digest=look.digest and f"{look.digest}:{hashlib.sha256(content).hexdigest()}")


def parsed(content: bytes) -> Float[np.ndarray, "70 3"]:
    """The landmarks of a .pts file. ValueError if it is something else."""
    if len(content) > LARGEST:
        raise ValueError(f"{len(content):,} bytes are too many")
    _, opened, rest = content.decode("ascii").partition("{")
    rows = [line.split() for line in rest.partition("}")[0].splitlines() if line.strip()]
    if not opened or len(rows) != POINTS or any(len(row) != 3 for row in rows):
        raise ValueError(f"{len(rows)} landmarks instead of {POINTS} with x, y and z")
    points = np.array(rows, np.float64)
    if not np.isfinite(points).all():
        raise ValueError("a landmark is no number")
    return points


def as_faces(source: Source) -> Source | None:
    """The source with its landmarks, images of one face in one group; None where there are none."""
    masks = source.annotations
    if not isinstance(masks, MaskAnnotations):
        return None
    points = {record.name: _points_of(record.name) for record in source.records}
    if not any(Path(source.root, name).is_file() for name in points.values()):
        return None
    records = tuple(replace(record, group=face_of(record)) for record in source.records)
    about = f"faces with {POINTS} landmarks and masks; {len({face_of(record) for record in records}):,} different ones"
    annotations = FaceAnnotations(masks, source.root, points)
    return replace(source, kind=FACES, records=records, annotations=annotations, reading=about)


def face_of(record: Record) -> str:
    """Who it is: the name before its last underscore."""
    return PurePosixPath(record.name).stem.rpartition("_")[0] or PurePosixPath(record.name).stem


def _points_of(name: str) -> str:
    path = PurePosixPath(name).with_suffix(".pts")
    return str(PurePosixPath(*("landmarks" if part == "images" else part for part in path.parts)))


def identities(data: Dataset, ids: np.ndarray) -> np.ndarray:
    """A number for the face of each image."""
    return np.unique([face_of(data.records[i]) for i in ids.tolist()], return_inverse=True)[1]


def partners(data: Dataset, ids: np.ndarray) -> dict[int, tuple[int, int]]:
    """id → another image of the same face, and one of another face: the next ones in the order of ids, which start again at
    their end. Images that have no partner are left out."""
    faces = identities(data, ids)
    members = [ids[faces == face].tolist() for face in range(faces.max(initial=-1) + 1)]
    known = {}
    for place, own in enumerate(members):
        others = members[(place + 1) % len(members)]
        if len(own) < 2 or others is own:
            continue
        for row, id in enumerate(own):
            known[id] = own[(row + 1) % len(own)], others[row % len(others)]
    return known


def load_faces(
    data: Dataset,
    ids: np.ndarray,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    truths: Truths | None = None,
    judging: bool,
) -> Images:
    """The images with landmarks and mask; for judging also with their partners, and without images that have none."""
    shown: dict[int, tuple[int, int]] = {}
    if judging:
        shown = partners(data, ids)
        if len(ids) and not shown:
            raise DataError(
                "a split has no two faces with two images each", "let val and test have some of each of two faces"
            )
        ids = np.array(sorted(shown), dtype=ids.dtype)
    return load(data, ids, preprocessing, recipe, truths=Truths(partial(_target, shown), _memory), judging=judging)


def _target(
    shown: dict[int, tuple[int, int]],
    data: Dataset,
    id: int,
    preprocessing: Preprocessing,
    natural: tuple[int, int],
    frame: Float[np.ndarray, "3 3"],
    judging: bool,
) -> Target:
    annotations = data.audit.source.annotations
    assert isinstance(annotations, FaceAnnotations)
    points = annotations.landmarks(data.records[id])
    moved = np.column_stack([points[:, :2] * frame[[0, 1], [0, 1]] + frame[:2, 2], points[:, 2] * frame[0, 0]])
    target: dict[str, Target] = {
        "landmarks": Values.of(torch.from_numpy(moved.astype(np.float32)).reshape(1, -1)),
        "mask": target_of(data.truth(id), preprocessing.geometry, natural, frame, outlines=False, judging=False),
    }
    if judging:
        for name, partner in zip((SAME, OTHER), shown[id], strict=True):
            pixels = data.pixels(partner, channels=preprocessing.channels, depth=preprocessing.depth)
            image = torch.from_numpy(np.ascontiguousarray(preprocessing.geometry.apply(pixels)[0]))
            target[name] = Pictures(
                torch.zeros(1, dtype=torch.int64), image.permute(2, 0, 1)[None], torch.ones(1, dtype=torch.bool)
            )
    return Several(target)


def _memory(data: Dataset, ids: np.ndarray, pixels: np.ndarray, natural: np.ndarray) -> np.ndarray:
    return 14 * pixels  # the mask as int64, two partners in colour
