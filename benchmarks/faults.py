"""Hurt runs for minutes and record what they bore: results/faults*.json, with the command, the machine and the seconds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from machine import described

ROOT = Path(__file__).parents[1]


def main() -> None:
    start = time.perf_counter()
    chosen = ["-k", sys.argv[1]] if len(sys.argv) > 1 else []  # "kills", "signals" or "disk"; all without
    command = [sys.executable, "-m", "pytest", "tests/faults", "-m", "slow", "-s", "-rs", *chosen]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:])
    figures = [json.loads(line) for line in re.findall(r"^\.?(\{\"\w+\": .*\})$", done.stdout, re.MULTILINE)]
    found = {
        "command": " ".join(["python benchmarks/faults.py", *sys.argv[1:]]),
        "machine": described(),
        "seconds": round(time.perf_counter() - start),
        "passed": done.returncode == 0,
        "summary": done.stdout.strip().splitlines()[-1],
        "figures": figures,
    }
    name = "-".join(["faults", *sys.argv[1:]]).replace(" ", "-")
    (ROOT / "results" / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
