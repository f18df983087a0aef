"""Memory of `predict` against the number of images, and its time beside an export's: 20,000 generated images.

    make stream

A network of the size of LeNet-5, untrained, predicts hard links to a thousand pictures in a tree of folders, in a process of
its own for the run and for its export. Resident memory is read every 500 rows; the slope is that of a line through the readings
after the first quarter. Time is measured in turns on 2,000 of the images, three each, and the median is kept.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
OUT = ROOT / "results" / "predict-stream.json"
IMAGES, A_FOLDER, EVERY = 20_000, 500, 500
TURNS, TIMED = 3, 2_000
SIDE = 28


def write_images(folder: Path, count: int) -> None:
    """A thousand different pictures, linked until there are enough."""
    made = []
    for number in range(min(count, 1_000)):
        path = folder / f"{number // A_FOLDER:04d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        made.append(path)
    for number in range(len(made), count):
        path = folder / f"{number // A_FOLDER:04d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(made[number % len(made)], path)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(model: str, folder: str, out: str) -> dict[str, Any]:
    """Rows to a file, in this process: (rows, bytes) pairs, seconds."""
    import sightline
    from sightline.runs.console import Console

    readings: list[tuple[int, int]] = []
    seen = 0

    def each(answers: object, row: dict[str, Any]) -> None:
        nonlocal seen
        seen += 1
        if seen % EVERY == 0:
            readings.append((seen, resident()))

    began = time.perf_counter()
    result = sightline.predict(model, folder, out=out, each=each, console=Console(level=-2))
    seconds = time.perf_counter() - began
    assert result.n == seen and not result.failed and not result.rows
    return {"n": result.n, "seconds": seconds, "readings": readings}


def apart(model: Path, folder: Path, out: Path) -> dict[str, Any]:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, str(model), str(folder), str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2_000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def slope(readings: list[list[int]]) -> float:
    """Bytes an image, after the first quarter."""
    rest = np.array(readings[len(readings) // 4 :], np.float64)
    return float(np.polyfit(rest[:, 0], rest[:, 1], 1)[0])


def main() -> None:
    import sightline
    from benchmarks.machine import described
    from sightline.runs.console import Console
    from tests.tiny_data import write_folder

    quiet = Console(level=-2)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        data = write_folder(place / "data", {"cat": 40, "dog": 40})
        keys = ["input.size=32", "input.channels=1", "fit.threads=1"]
        run = sightline.train(data, keys, model="lenet5", smoke=True, out=place / "run", console=quiet)
        export = Path(sightline.export(run, console=quiet)["folder"])
        write_images(place / "images", IMAGES)
        write_images(place / "few", TIMED)
        models = {"run": run.folder, "export": export}
        memory = {}
        for which, model in models.items():
            found = apart(model, place / "images", place / f"{which}.jsonl")
            mebibytes = [round(b / 2**20, 1) for _, b in found["readings"]]
            memory[which] = {
                "bytes_an_image": round(slope(found["readings"]), 1), "seconds": round(found["seconds"], 1),
                "mib_every_2000": mebibytes[3::4],
            }  # fmt: skip
            print(which, memory[which], flush=True)
        times: dict[str, list[float]] = {which: [] for which in models}
        for _ in range(TURNS):
            for which, model in models.items():
                found = apart(model, place / "few", place / f"{which}-few.jsonl")
                times[which].append(1000 * found["seconds"] / found["n"])
    result = {
        "machine": described(), "images": IMAGES, "pixels": [SIDE, SIDE], "network": "lenet5",
        "memory": memory, "timed_images": TIMED,
        "ms_an_image": {
            which: {"median": round(statistics.median(of), 3), "turns": [round(t, 3) for t in of]}
            for which, of in times.items()
        },
    }  # fmt: skip
    OUT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["ms_an_image"]))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(measure(*sys.argv[1:])))
    else:
        sys.path.insert(0, str(ROOT))
        main()
