"""The pictures of docs/gallery.md: pages that sightline writes, as a browser shows them.

    python benchmarks/gallery.py        a minute; needs chromium and playwright

Trains LeNet-5 on the built-in digits and a small U-Net on drawn cells (those of the tutorial on segmentation), and
photographs the first screen of each page. generated-digits.png is of `run.sample(80)` of the run of
`benchmarks/generation.py gan --epochs 18`, ten columns.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

import sightline
from sightline.runs.console import Console

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "gallery"
QUIET = Console(-1)
WIDTH, COLOURS = 1100, 64


def make(folder: Path) -> dict[str, tuple[Path, int, str]]:
    """The pages in `folder`: name → (file, height of the picture, script to run in it first)."""
    os.chdir(folder)
    tutorial = (ROOT / "docs" / "tutorials" / "segmentation.md").read_text(encoding="utf-8")
    exec(re.findall(r"```python\n(.*?)```", tutorial, re.DOTALL)[0], {})  # draws cells/
    keys: dict[str, Any] = {"model.options.width": 8, "input.size": 48, "fit.batch": 8}
    sightline.train("cells/", keys, model="unet", epochs=6, out="runs/cells", console=QUIET)
    sightline.train("digits", model="lenet5", epochs=8, out="runs/digits", console=QUIET)
    sightline.train("digits", model="linear", epochs=8, out="runs/linear", console=QUIET)
    sightline.compare(["runs/digits", "runs/linear"], out="compare.html", console=QUIET)
    sightline.run_experiment("decision-boundary", {"data": "rings"}, out="lab", console=QUIET)
    sightline.write_playground(out="lab")
    learn = (
        "playground.points.half.training && [playground.points.advance(600).step, playground.digits.advance(200).step]"
    )
    return {
        "playground": (Path("lab/playground.html"), 1230, learn),
        "experiment": (Path("lab/decision-boundary.html"), 900, ""),
        "segmentation": (
            Path("runs/cells/report.html"),
            560,
            "document.querySelector('#examples, #mistakes')?.scrollIntoView()",
        ),
        "compare": (Path("compare.html"), 900, ""),
    }


def photograph(pages: dict[str, tuple[Path, int, str]]) -> None:
    from playwright.sync_api import sync_playwright

    OUT.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (file, height, script) in pages.items():
            page = browser.new_context(offline=True, viewport={"width": WIDTH, "height": height}).new_page()
            page.goto(file.resolve().as_uri())
            page.wait_for_timeout(1500)
            if script:
                page.evaluate(script)
            page.wait_for_timeout(300)
            page.screenshot(path=OUT / f"{name}.png")
            with Image.open(OUT / f"{name}.png") as shown:
                shown.convert("RGB").quantize(COLOURS).save(OUT / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        photograph(make(Path(place)))
