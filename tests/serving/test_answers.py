"""What is answered: the rows of the runtime, for one image or several, without torch in any process."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from sightline import runtime

from .clients import Served, maps, picture, resident, served
from .small_exports import CLASSES, segmenter

IMAGES = [picture(seed, size, kind) for seed, (size, kind) in enumerate(
    [((30, 40), "PNG"), ((24, 24), "JPEG"), ((7, 90), "WEBP"), ((64, 3), "BMP"), ((24, 24), "GIF"), ((33, 20), "TIFF")]
)]  # fmt: skip


def rows(response: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = response.json()["predictions"]  # type: ignore[attr-defined]
    return found


def test_rows_are_those_of_the_runtime(server: Served, folder: Path) -> None:
    model = runtime.open(folder, threads=1)
    expected = [json.loads(json.dumps(model.predict(image))) for image in IMAGES]
    assert [rows(server.predict(image))[0] for image in IMAGES] == expected
    together = rows(server.upload(*((f"{i}.png", image) for i, image in enumerate(IMAGES))))
    assert [row.pop("name") for row in together] == [f"{i}.png" for i in range(len(IMAGES))]
    for row, one in zip(together, expected, strict=True):
        assert row["label"] == one["label"]
        assert row["probability"] == pytest.approx(one["probability"], abs=1e-6)  # sums in another order in a batch


def test_many_clients_get_their_own_rows(server: Served, folder: Path) -> None:
    model = runtime.open(folder, threads=1)
    images = [picture(seed) for seed in range(24)]
    expected = [model.predict(image) for image in images]
    found: dict[int, dict[str, object]] = {}

    def ask(place: int) -> None:
        found[place] = rows(server.predict(images[place]))[0]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, one in enumerate(expected):
        assert found[place]["label"] == one["label"]
        assert found[place]["probability"] == pytest.approx(one["probability"], abs=1e-6)


def test_masks_are_pngs_of_class_indexes(tmp_path: Path) -> None:
    folder = segmenter(tmp_path / "pixels")
    kept: list[np.ndarray] = []
    expected = next(runtime.open(folder).answers([IMAGES[0]], lambda place, mask: kept.append(mask)))
    with served(folder) as server:
        row = rows(server.predict(IMAGES[0]))[0]
    with Image.open(io.BytesIO(base64.b64decode(str(row["mask"])))) as mask:
        assert np.array_equal(np.asarray(mask), kept[0])
    assert row["shares"] == expected["shares"]


def test_a_request_chooses_classes_and_scores(server: Served) -> None:
    every = rows(server.predict(IMAGES[0]))[0]
    top, label = every["top"], every["label"]
    assert isinstance(top, list)
    others = [name for name, _ in top if name != label]
    only = rows(server.predict(IMAGES[0], "?" + "&".join(f"classes={quote(name)}" for name in others)))[0]
    assert only == {"label": None, "probability": None, "top": [pair for pair in top if pair[0] in others]}
    assert rows(server.predict(IMAGES[0], f"?conf={top[0][1]}"))[0] == every
    assert rows(server.predict(IMAGES[0], "?conf=1"))[0] == {**every, "uncertain": True}
    for query in ("?conf=1.5", "?conf=-1", "?conf=nan", "?conf=x", "?conf=", "?classes=cow", "?classes="):
        refused = server.predict(IMAGES[0], query)
        assert refused.status == 422, query
        assert refused.code in ("wrong-parameter", "unknown-class")


def test_an_image_of_several_that_cannot_be_read_has_its_error(server: Served) -> None:
    found = rows(server.upload(("good.png", IMAGES[0]), ("bad\x01.png", IMAGES[0][:60])))
    assert "label" in found[0]
    assert found[1] == {"name": "bad\\u0001.png", "error": found[1]["error"]}
    assert str(found[1]["error"]).startswith("truncated: ")


def test_no_process_has_torch(server: Served) -> None:
    for pid in (server.process.pid, server.worker):
        assert "libtorch" not in maps(pid)
        assert "lightning" not in maps(pid)
    assert "onnxruntime" in maps(server.worker)
    assert "onnxruntime" not in maps(server.process.pid)  # a server that computes would not answer meanwhile


def test_the_server_describes_itself(server: Served) -> None:
    facts = server.ask("GET", "/").json()
    assert facts["classes"] == list(CLASSES)
    assert "/predict" in facts["paths"]
    described = server.ask("GET", "/openapi.json").json()
    assert set(described["paths"]) == {"/", "/healthz", "/readyz", "/metrics", "/predict"}
    page = server.ask("GET", "/docs")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<link|<img|src=|https?://(?!127\.0\.0\.1)", page.body.decode())


def test_counts_are_kept(server: Served) -> None:
    def count(name: str) -> float:
        text = server.ask("GET", "/metrics").body.decode()
        return float(next((line.split()[-1] for line in text.splitlines() if line.startswith(name)), 0))

    names = ("sightline_images_total", 'sightline_requests_total{path="/predict",status="200"}',
             "sightline_predict_seconds_count")  # fmt: skip
    before = [count(name) for name in names]
    server.predict(IMAGES[0])
    server.ask("GET", "/a/strange/path")
    assert [count(name) for name in names] == [value + 1 for value in before]
    text = server.ask("GET", "/metrics").body.decode()
    assert "strange" not in text
    assert 'path="other",status="404"' in text


def test_memory_stays_flat(server: Served) -> None:
    """Four hundred requests on one connection; the first hundred fill caches."""
    image = IMAGES[1]
    head = f"POST /predict HTTP/1.1\r\nHost: {server.name}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
    from .clients import received

    with server.connect() as connection:
        for number in range(400):
            if number == 100:
                before = [resident(pid) for pid in (server.process.pid, server.worker)]
            connection.sendall(head.encode() + image)
            assert received(connection).status == 200
    after = [resident(pid) for pid in (server.process.pid, server.worker)]
    assert all(late - early < 8 << 20 for early, late in zip(before, after, strict=True)), (before, after)
