"""Data sets in a few large files: Parquet in the hub's layout, WebDataset's tar archives."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sightline.data.records.names import suffix

from .coco import rows_of
from .items import Item, Work, require_plain

SHARD = 256 << 20  # bytes of images
SAMPLES, GROUP = 10_000, 256


def shards_of(work: Work, items: Sequence[Item]) -> list[list[Item]]:
    """The items in their order, so many to a shard that its images have about `SHARD` bytes."""
    shards: list[list[Item]] = [[]]
    size = 0
    for item in items:
        content = work.dataset.audit.source.load(item.record)
        more = os.stat(content).st_size if isinstance(content, Path) else memoryview(content).nbytes  # type: ignore[arg-type]
        if shards[-1] and (size + more > SHARD or len(shards[-1]) >= SAMPLES):
            shards.append([])
            size = 0
        shards[-1].append(item)
        size += more
    return shards


def write_parquet(work: Work) -> None:
    """data/<split>-00000-of-00001.parquet with the columns image {bytes, path} and label."""
    names = list(work.dataset.classes)
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [("image", image), ("label", pa.int64())], {"huggingface": json.dumps({"info": {"features": features}})}
    )
    (work.root / "data").mkdir()
    for split in work.splits:
        shards = shards_of(work, work.of(split))
        for number, items in enumerate(shards):
            path = work.root / "data" / f"{split or 'data'}-{number:05d}-of-{len(shards):05d}.parquet"
            with pq.ParquetWriter(path, schema) as writer:
                for start in range(0, len(items), GROUP):
                    some = items[start : start + GROUP]
                    images = [{"bytes": work.bytes_of(item), "path": item.name} for item in some]
                    labels = [names.index(str(item.record.label)) for item in some]
                    writer.write_table(pa.table({"image": images, "label": labels}, schema))


def write_webdataset(work: Work) -> None:
    """<split>-000000.tar of samples: 00000000.jpg with 00000000.cls (the index) and 00000000.json; and classes.txt."""
    require_plain(work.dataset.classes, "WebDataset")
    if work.dataset.knows != "labels":
        work.notes["classes that sightline does not read back: WebDataset has no usual form for boxes"] += len(
            work.dataset.classes
        )
    work.write("classes.txt", "".join(f"{name}\n" for name in work.dataset.classes))
    number = 0
    for split in work.splits:
        for shard, items in enumerate(shards_of(work, work.of(split))):
            path = work.root / f"{split or 'data'}-{shard:06d}.tar"
            with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
                for item in items:
                    for end, data in _sample(work, item):
                        entry = tarfile.TarInfo(f"{number:08d}{end}")
                        entry.size = len(data)
                        tar.addfile(entry, io.BytesIO(data))
                    number += 1


def _sample(work: Work, item: Item) -> Iterator[tuple[str, bytes]]:
    end = {".jpeg": ".jpg"}.get(suffix(item.name), suffix(item.name))
    yield end, work.bytes_of(item)
    facts: dict[str, object] = {"file": item.name}
    if item.record.label is not None:
        index = work.dataset.classes.index(item.record.label)
        yield ".cls", str(index).encode()
        facts |= {"label": item.record.label, "index": index}
    else:
        stored = work.stored(item)
        facts |= {"width": stored.width, "height": stored.height, "annotations": rows_of(work, item)}
    yield ".json", json.dumps(facts).encode()
