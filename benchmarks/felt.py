"""The waits that one feels, in seconds of processor time (user + system), best of n: results/felt.json.

Other programs on the machine lengthen a wait, but hardly its processor time.

    python benchmarks/felt.py --before /path/of/another/checkout --smoke
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import described

ROOT = Path(__file__).parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
WHOLE = {
    "models": "models",
    "--version": "--version",
    "--help": "--help",
    "describe lenet5": "describe lenet5",
    "train mnsit, a mistyped name": "train mnsit",
}
FIRST = {f"{verb}: first line": words for verb, words in {
    "train": "train digits", "data": "data digits", "evaluate": "evaluate no/run", "predict": "predict no/run a.png",
    "report": "report no/run", "verify": "verify no/run", "doctor": "doctor",
}.items()}  # fmt: skip
SMOKE = {"classes": "mnist", "pixels": "camvid", "boxes": "bccd", "instances": "nuclei"}
# Ends the process after the first step, with the time that it has used.
STEP = """
import os, resource, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "sightline.training.finish":
            import sightline.engine.fit as fit
            turn = fit._take_turn
            def first(*arguments):
                turn(*arguments)
                used = resource.getrusage(resource.RUSAGE_SELF)
                print(used.ru_utime + used.ru_stime, flush=True)
                os._exit(0)
            fit._take_turn = first
sys.meta_path.insert(0, Finder())
from sightline.cli.main import run
sys.argv = ["sightline", "train", "digits"]
run()
"""


def started(words: list[str], package: Path, **streams: Any) -> subprocess.Popen[str]:
    place = tempfile.mkdtemp()
    environ = os.environ | {"PYTHONPATH": str(package), "SIGHTLINE_CACHE": f"{place}/cache"}
    return subprocess.Popen([sys.executable, *words], cwd=place, env=environ, text=True, **streams)


def whole(words: str, package: Path) -> tuple[float, int]:
    """Seconds and peak memory in MiB until the process has ended."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = started(["-m", "sightline", *words.split()], package, **quiet)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    return used.ru_utime + used.ru_stime, used.ru_maxrss // 1024


def first_line(words: str, package: Path) -> float:
    """Seconds until the first line, of progress or of an error."""
    process = started(["-m", "sightline", *words.split()], package, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stderr is not None
    process.stderr.readline()
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    process.kill()
    process.wait()
    return (int(fields[11]) + int(fields[12])) / TICKS


def first_step(package: Path) -> float:
    process = started(["-c", STEP], package, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return float(process.communicate()[0])


def best(n: int, measure: Any, *arguments: Any) -> float:
    return round(min(measure(*arguments) for _ in range(n)), 2)


def figures(package: Path, n: int) -> dict[str, float]:
    """What is felt, by name, of the package in this folder."""
    found = {name: best(n, lambda w, p: whole(w, p)[0], words, package) for name, words in WHOLE.items()}
    found |= {name: best(n, first_line, words, package) for name, words in FIRST.items()}
    return found | {"train digits: first step": best(n, first_step, package)}


def rehearsals(package: Path) -> dict[str, dict[str, float]]:
    """train --smoke of each kind of task with its default model; once, since each takes a while."""
    data, found = Path(os.environ["SIGHTLINE_DATA"]), {}
    for kind, name in SMOKE.items():
        seconds, memory = whole(f"train {data / name} --smoke", package)
        found[f"{kind}: {name}"] = {"seconds": round(seconds, 1), "peak_mib": memory}
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--before", type=Path, help="a folder with another version of the package, to compare with")
    options.add_argument("-n", type=int, default=3, help="the best of so many")
    options.add_argument("--smoke", action="store_true", help="rehearsals too: minutes")
    given = options.parse_args()
    result: dict[str, Any] = {"command": f"python benchmarks/felt.py -n {given.n}"}
    result |= {"machine": described(), "n": given.n, "unit": "seconds of processor time, the best of n"}
    if given.before is not None:
        result["before"] = figures(given.before, given.n)
    result["after"] = figures(ROOT / "src", given.n)
    if given.smoke:
        result["smoke"] = rehearsals(ROOT / "src")
    result["date"] = time.strftime("%Y-%m-%d")
    (ROOT / "results" / "felt.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
