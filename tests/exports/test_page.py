"""The page: its pixels are Pillow's, and in a browser it predicts what the export predicts, without a request."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sightline.errors import DamagedError, UsageError
from sightline.exports import web_runtime as web
from sightline.exports.demo import NAME, SCRIPTS, demo_page
from sightline.exports.web_runtime import FILES, WebRuntime, web_runtime
from sightline.preprocessing.geometry import Geometry
from sightline.runtime.decodings import Frames
from sightline.runtime.model import open_model
from sightline.runtime.pixels import class_map
from sightline.runtime.places import Places
from sightline.runtime.suppression import suppress
from sightline.verbs.export import export

from .tiny_runs import QUIET, tiny_run

PAGE = Path(web.__file__).parent / "page"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script")


def run_script(expression: str, **values: Any) -> Any:
    """The value of an expression in node, with the functions of the page that need no browser."""
    script = "\n".join((PAGE / name).read_text() for name in ("geometry.js", "decoding.js"))
    flatten = (PAGE / "reading.js").read_text()
    script += flatten[flatten.index("/** RGBA") :]
    script = f"import {{ readFileSync }} from 'fs';\n{script}"
    code = f"{script}\nconst given = JSON.parse(readFileSync(0));\nconsole.log(JSON.stringify({expression}));"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(24, 32), (61, 97), (150, 40), (90, 64), (7, 9), (300, 31)])
def test_resized_pixels_are_pillows(fit: str, size: tuple[int, int]) -> None:
    """Every byte, when shrinking, enlarging, cropping parts of pixels and padding."""
    channels = 3 if size[0] % 2 else 1
    pixels = np.random.default_rng(1).integers(0, 256, (*size, channels), dtype=np.uint8)
    geometry = Geometry(24, 32, fit=fit, pad=99, share=0.875 if fit == "crop" else 1.0)
    expected, frame = geometry.apply(pixels)
    image = {"data": pixels.ravel().tolist(), "height": size[0], "width": size[1], "channels": channels}
    stored = {"height": 24, "width": 32, "fit": fit, "pad": 99, "share": geometry.share}
    found = run_script(
        "(() => { const { pixels, place } = toFrame(given.geometry, given.image);"
        " return { data: Array.from(pixels.data), place }; })()",
        geometry=stored, image=image,
    )  # fmt: skip
    assert found["data"] == expected.ravel().tolist()
    place = found["place"]
    assert [place["scaleX"], place["scaleY"], place["left"], place["top"]] == frame[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()


@needs_node
@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pixels_are_the_decoders(channels: int) -> None:
    from sightline.preprocessing.decoder import decode

    rgba = np.random.default_rng(2).integers(0, 256, (13, 11, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(rgba, "RGBA").save(file, "PNG")
    expected = decode(file.getvalue(), channels=channels).pixels
    found = run_script(
        "Array.from(flatten(given.rgba, given.channels, [255, 255, 255]))",
        rgba=rgba.ravel().tolist(),
        channels=channels,
    )
    assert found == expected.ravel().tolist()


@needs_node
def test_class_maps_and_suppression_are_the_runtimes() -> None:
    random = np.random.default_rng(4)
    score = random.normal(size=(3, 24, 32)).astype(np.float32)
    for fit in ("stretch", "letterbox", "crop"):
        placement = Geometry(24, 32, fit=fit).placement(50, 90)
        place = {"scaleX": placement.scale_x, "scaleY": placement.scale_y, "left": placement.left, "top": placement.top}
        found = run_script(
            "Array.from(classMap(given.score, [3, 24, 32], given.place, { height: 50, width: 90 }))",
            score=score.ravel().tolist(), place=place,
        )  # fmt: skip
        expected = class_map(score, placement.frame.astype(np.float32), (50, 90))
        assert (np.array(found) != expected.ravel()).mean() < 0.001
    corner = random.random((200, 2)) * 50
    boxes = np.concatenate((corner, corner + random.random((200, 2)) * 20 + 1), 1).astype(np.float32)
    scores, label = random.random(200).astype(np.float32), random.integers(0, 3, 200)
    some = [
        {"box": b, "score": s, "label": c, "place": i}
        for i, (b, s, c) in enumerate(zip(boxes.tolist(), scores.tolist(), label.tolist(), strict=True))
    ]
    found = run_script("suppress(given.some, 0.5).map((one) => one.place)", some=some)
    assert found == suppress(boxes, scores, label, 0.5).tolist()


@needs_node
@pytest.mark.parametrize("overlap", [0.5, 1.0])
def test_boxes_of_all_places_are_the_runtimes(overlap: float) -> None:
    """The rows of `runtime.places`, suppressed and, as after a set, not suppressed: classes, scores, boxes in the original."""
    random, fit = np.random.default_rng(5), Geometry(24, 32, fit="corner").placement(50, 90)
    low = random.random((1, 120, 2)) * 20
    boxes = np.concatenate((low, low + random.random((1, 120, 2)) * 12), 2).astype(np.float32)
    score = (random.random((1, 120, 3)) ** 3).astype(np.float32)
    settings = {"score": 0.1, "overlap": overlap, "limit": 20, "smallest_box": 1.0}
    decoding = Places(settings)
    outputs = decoding.run(
        {"model": lambda image: {"boxes": boxes, "score": score}}, np.zeros((1, 3, 24, 32), np.uint8)
    )
    frames = Frames(fit.frame[None].astype(np.float32), ((50, 90),))
    expected = decoding.rows(outputs, frames, ("a", "b", "c"), lambda place, mask: None)[0]["boxes"]
    found = run_script(
        "Array.from((await DECODINGS.places(async () => ({ boxes: { data: Float32Array.from(given.boxes) },"
        " score: { data: Float32Array.from(given.score), dims: [1, 120, 3] } }), null, given)).boxes)",
        boxes=boxes.ravel().tolist(), score=score.ravel().tolist(), settings=settings, classes=["a", "b", "c"],
        place={"scaleX": fit.scale_x, "scaleY": fit.scale_y, "left": fit.left, "top": fit.top},
        natural={"height": 50, "width": 90},
    )  # fmt: skip
    assert len(found) == len(expected) == 20
    assert [(one["label"], one["score"]) for one in found] == [(one["label"], one["score"]) for one in expected]
    np.testing.assert_allclose([one["xyxy"] for one in found], [one["xyxy"] for one in expected], atol=1e-4)


def test_a_page_holds_everything_and_allows_no_request() -> None:
    facts = {"name": "</script>&", "model": "m", "classes": ["</script>"], "threshold": None, "decoding": {"name": "x"}}
    page = demo_page(facts, {"geometry": {}}, {"model": b"graph"}, WebRuntime(b"script", b"binary", "1")).decode()
    assert "default-src 'none'" in page and "&lt;/script&gt;&amp;" in page
    assert page.count("</script>") == 1 + 3 + 1  # facts, payload, module
    assert "src=" not in page and "href=" not in page and "http" not in page.replace("http-equiv", "")
    assert all((PAGE / name).read_text() in page for name in SCRIPTS)


def test_the_web_runtime_is_found_or_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match="not in the cache"):
        web_runtime()
    with pytest.raises(UsageError, match="has no"):
        web_runtime(tmp_path)
    (tmp_path / "package" / "dist").mkdir(parents=True)
    for name in FILES:
        (tmp_path / "package" / "dist" / name).write_bytes(name.encode())
    assert web_runtime(tmp_path).version == "unknown"
    shutil.copytree(tmp_path / "package" / "dist", tmp_path / "cache" / f"onnxruntime-web-{web.VERSION}")
    with pytest.raises(DamagedError, match="not those"):
        web_runtime()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="a browser is needed")
def test_a_browser_predicts_what_the_export_predicts(tmp_path: Path) -> None:
    """Ten images, three of them rotated by EXIF or transparent, from a file:// address without a network, on a phone's window.
    ONNXRUNTIME_WEB names the folder of the unpacked npm package."""
    sync = pytest.importorskip("playwright.sync_api", reason="it drives the browser")
    package = os.environ.get("ONNXRUNTIME_WEB")
    if package is None:
        pytest.skip("ONNXRUNTIME_WEB is not set")
    run = tiny_run(tmp_path)
    export(run, to="html", out=tmp_path / "export", web_runtime=package, console=QUIET)
    model, images = open_model(tmp_path / "export"), _images()
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(offline=True, viewport={"width": 390, "height": 844}).new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url.split(":")[0]))
        page.goto((tmp_path / "export" / NAME).as_uri())
        page.wait_for_selector("#files:not([disabled])", timeout=120_000)
        for data in images:
            found = page.evaluate(
                "async (text) => { const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));"
                " return (await window.sightlinePredict)(new Blob([bytes])); }",
                base64.b64encode(data).decode(),
            )
            expected = model.predict(data)
            assert found["label"] == expected["label"]
            assert abs(found["probability"] - expected["probability"]) <= 1e-3
        assert set(requests) <= {"file", "blob"}
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        browser.close()


def _images() -> list[bytes]:
    random, files = np.random.default_rng(9), []
    for i in range(10):
        pixels = random.integers(0, 256, (20 + i, 30 - i, 4 if i == 1 else 3), dtype=np.uint8)
        file, exif = io.BytesIO(), Image.Exif()
        if i in (2, 3):
            exif[274] = 6 if i == 2 else 2
        Image.fromarray(pixels).save(file, "PNG", exif=exif)
        files.append(file.getvalue())
    return files
