"""Every experiment of the laboratory with three seeds: do its claims hold, and how long does it take?

    python benchmarks/laboratory.py              two processes of one thread; seeds 0, 1 and 2
    python benchmarks/laboratory.py 200 201 202  other seeds: do the claims hold where nobody looked when they were worded?

Writes the book to build/lab and claims, numbers and seconds to results/lab.json; of other seeds, seconds and the claims that
do not hold to results/lab-unseen.json. Exit code 1 where a claim does not hold.
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
    seeds = tuple(int(seed) for seed in sys.argv[1:]) or SEEDS
    book = build_book(seeds=seeds, out=ROOT / "build" / "lab", console=Console(0), processes=2)
    rows = [{key: value for key, value in row.items() if key != "page"} for row in book["experiments"]]
    result = {
        "command": " ".join(["python benchmarks/laboratory.py", *sys.argv[1:]]), "machine": described(), "processes": 2,
        "threads": 1, "seeds": seeds, "seconds": round(time.perf_counter() - start), "holds": book["holds"],
    }  # fmt: skip
    if seeds == SEEDS:
        result["experiments"] = rows
    else:
        result["hold"] = sum(row["holds"] for row in rows)
        result["of"] = len(rows)
        result["fail"] = {
            row["experiment"]: [claim for claim in row["claims"] if not all(claim["holds"])]
            for row in rows
            if not row["holds"]
        }
    name = "lab.json" if seeds == SEEDS else "lab-unseen.json"
    (ROOT / "results" / name).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit(0 if book["holds"] else 1)


if __name__ == "__main__":
    main()
