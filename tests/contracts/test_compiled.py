"""The smallest network of each family compiles as one graph and exports strictly, with any batch."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.smallest import SMALLEST


def test_every_family_compiles_and_exports() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.compiled", "aot_eager"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = {line["name"]: line["error"] for line in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == SMALLEST.keys()
    assert {name: error for name, error in found.items() if error} == {}
