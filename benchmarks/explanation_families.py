"""Every registered family of classifiers with every method of `explain`, no layer named: the layer of a map, or the reason why
there is none. For results/explanation-families.json; the smallest member of each family, random weights, ten classes.

    python benchmarks/explanation_families.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.subject import Refused, subject_of
from sightline.models.create import create_model
from tests.distinct import fill_lively
from tests.smallest import SMALLEST

OUT = Path(__file__).parents[1] / "results" / "explanation-families.json"
QUICK: dict[str, dict[str, Any]] = {
    "smoothgrad": {"samples": 2}, "integrated_gradients": {"steps": 3, "most": 3}, "rise": {"masks": 4},
    "occlusion": {"share": 2, "moves": 1},
}  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    table: dict[str, dict[str, str]] = {}
    for name in sorted(SMALLEST):
        torch.manual_seed(0)
        network = create_model(name, num_classes=10, **SMALLEST[name]).eval()
        pixels = torch.rand(1, *network.input_size) * 255
        fill_lively(network, pixels / 255, seed=1)
        table[name] = {}
        for key, method in METHODS.items():
            try:
                found = method.explain(subject_of(network), pixels, torch.tensor([1]), **QUICK.get(key, {}))
            except Refused as error:
                table[name][key] = f"refused: {error.message}"
                continue
            assert bool(found.values.isfinite().all())
            table[name][key] = f"map of {found.settings['layer']}" if "layer" in found.settings else "map"
        print(name, file=sys.stderr, flush=True)
    maps = sum(cell.startswith("map") for row in table.values() for cell in row.values())
    facts = {"families": len(table), "methods": len(METHODS), "maps": maps, "refused": len(table) * len(METHODS) - maps}
    OUT.write_text(json.dumps(facts | {"table": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
