"""Every registered classifier, as published, through the contract that the tests hold for the smallest of each family.

    python benchmarks/contracts.py [--backend inductor|aot_eager] [--only PATTERN] [--compiled] [--rest]

Forward, backward, features, no head, odd sizes, channels-last, bf16, export with any batch, deterministic start, round trip
of the state: tests/contracts/test_models.py for every variant. Compiled and exported strictly: tests/compiled.py, `--compiled`
alone. Networks of few layers come first. Results are added to results/contracts.json, so that hours may be done in parts:
`--rest` takes those that are not in it yet, and of the contract only the cases that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from machine import described

from sightline.models import MODELS
from sightline.models.create import outline

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "contracts.json"
LIMIT = 2700  # seconds for one network


def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def record(**parts: dict[str, Any]) -> None:
    """Add to what the file holds by now: the plain and the compiled contract may be under way side by side."""
    found = results() | {"command": "python benchmarks/contracts.py", "machine": described()}
    for part, value in parts.items():
        found[part] = found.get(part, {}) | value
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def contract(before: dict[str, Any]) -> dict[str, Any]:
    """Cases, failures and seconds of every test that is about one network; only of those that failed `before`."""
    failed = before.get("failed")
    if failed == []:
        return before
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
        file = "tests/contracts/test_models.py"
        command += [*([f"{file}::{case}" for case in failed] if failed else [file]), f"--junitxml={report}"]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, env=os.environ | {"SIGHTLINE_EVERY_VARIANT": "1"}, check=False)
        if not report.exists():
            raise SystemExit(f"the tests did not run: exit {done.returncode}")
        cases = list(ET.parse(report).iter("testcase"))
    broken = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    seconds = before.get("seconds", 0) + round(time.perf_counter() - start)
    return {"cases": before.get("cases", len(cases)), "failed": broken, "seconds": seconds}


def compiled(name: str, backend: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.compiled", backend, "--published", name]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"name": name, "error": f"not done in {LIMIT} s", "seconds": LIMIT}
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines else {"name": name, "error": done.stderr[-300:], "seconds": None}


def layers(name: str) -> int:
    return sum(1 for _ in outline(name).modules())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=("inductor", "aot_eager"), default="inductor")
    parser.add_argument("--only", default="*")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--rest", action="store_true")
    asked = parser.parse_args()
    if not asked.compiled:
        record(contract=contract(results().get("contract", {}) if asked.rest else {}))
    done = results().get(asked.backend, {}) if asked.rest else {}
    for name in sorted(MODELS.matching(heading="class scores"), key=layers):
        if fnmatchcase(name, asked.only) and name not in done:
            line = compiled(name, asked.backend)
            print(json.dumps(line), flush=True)
            record(**{asked.backend: {name: {"error": line["error"], "seconds": line["seconds"]}}})
    found = results()
    broken = [name for name, line in found.get(asked.backend, {}).items() if line["error"]]
    sys.exit(1 if broken or found.get("contract", {}).get("failed") else 0)


if __name__ == "__main__":
    main()
