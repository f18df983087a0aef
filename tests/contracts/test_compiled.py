"""The smallest network of each family compiles as one graph and exports strictly, with any batch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.smallest import SMALLEST

CHUNKS = 4  # a process each; two at a time where the tests run in two


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_family_compiles_and_exports(chunk: int) -> None:
    names = sorted(SMALLEST)[chunk::CHUNKS]
    command = [sys.executable, "-m", "tests.compiled", "aot_eager", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = {line["name"]: line["error"] for line in map(json.loads, done.stdout.splitlines())}
    assert list(found) == names
    assert {name: error for name, error in found.items() if error} == {}
