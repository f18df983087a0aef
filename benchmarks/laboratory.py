"""Every experiment of the laboratory with three seeds: do its claims hold, and how long does it take?

    python benchmarks/laboratory.py        two processes of one thread

Writes the book to build/lab and claims, numbers and seconds to results/lab.json. Exit code 1 where a claim does not hold.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from machine import described

from sightline import build_book
from sightline.lab.running import SEEDS
from sightline.runs.console import Console

ROOT = Path(__file__).parents[1]


def main() -> None:
    start = time.perf_counter()
    book = build_book(seeds=SEEDS, out=ROOT / "build" / "lab", console=Console(0), processes=2)
    rows = [{key: value for key, value in row.items() if key != "page"} for row in book["experiments"]]
    result = {
        "command": "python benchmarks/laboratory.py", "machine": described(), "processes": 2, "threads": 1, "seeds": SEEDS,
        "seconds": round(time.perf_counter() - start), "holds": book["holds"], "experiments": rows,
    }  # fmt: skip
    (ROOT / "results" / "lab.json").write_text(
        json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    sys.exit(0 if book["holds"] else 1)


if __name__ == "__main__":
    main()
