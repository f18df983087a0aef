"""Write src/sightline/models/catalogue.json from the networks themselves: what `sightline models` lists.

Building all of them takes a minute, so the command line reads this file; tests compare it with the networks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import sightline.models
from sightline.models import MODELS, describe
from sightline.verbs.models import row_of

FILE = Path(sightline.models.__file__).parent / "catalogue.json"


def full_row(name: str) -> dict[str, Any]:
    """The row of one network with its multiply-adds, attention included, for one image of its usual size."""
    costs = describe(name)
    return row_of(name) | {"multiply_adds": costs["multiply_adds"] + costs["attention_multiply_adds"]}


def main() -> None:
    rows = []
    for name in MODELS:
        rows.append(json.dumps(full_row(name)))
        print(name, file=sys.stderr)
    FILE.write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
