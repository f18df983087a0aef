"""Every classifier that torchvision or timm has too, with distinct values in every tensor: do both answer alike?

    python benchmarks/parity.py [--only PATTERN]

Theirs is filled, saved to a file and loaded by `create_model(name, weights=file)`, as a user's would be; both then look at
the same images. Writes results/parity.json: the largest difference as a share of the largest score, and what it becomes when
one weight of ours is turned round, which shows that the figure means something. The default suite does this for a few.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from machine import described
from safetensors.torch import save_file
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sightline.models.create import create_model  # noqa: E402
from tests.distinct import farthest, fill_lively, picture  # noqa: E402

RESULTS = ROOT / "results" / "parity.json"
TORCHVISION = [
    *("alexnet", "googlenet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    *("wide_resnet50_2", "wide_resnet101_2", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *(f"efficientnet_b{number}" for number in range(8)),
    *("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32"),
]
# ours → theirs, and our options
TIMM: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"se_resnet{depth}": (f"seresnet{depth}", {}) for depth in (50, 101, 152)},
    "se_resnext50_32x4d": ("seresnext50_32x4d", {}),
    **{f"preact_resnet{depth}": (f"resnetv2_{depth}", {}) for depth in (18, 34, 50, 101, 152)},
    "mobilenet_v1": ("mobilenetv1_100", {"activation": "relu6"}),
    **{
        f"vit_{ours}": (f"vit_{theirs}_224", {})
        for ours, theirs in (("ti_16", "tiny_patch16"), ("s_16", "small_patch16"))
    },
    **{"vit_s_32": ("vit_small_patch32_224", {})},
    **{f"efficientnet_b{number}": (f"efficientnet_b{number}", {}) for number in range(5)},
}


def theirs_of(source: str, name: str) -> nn.Module:
    if source == "timm":
        return timm.create_model(TIMM[name][0])
    plain = {"init_weights": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, weights=None, **plain)


@torch.no_grad()
def compared(source: str, name: str, folder: Path) -> dict[str, Any]:
    start = time.perf_counter()
    theirs = theirs_of(source, name)
    side = 224 if name.startswith("vit_") else 128
    fill_lively(theirs, picture(4, 3, side, side, seed=1), seed=1)
    path = folder / "weights.safetensors"
    save_file({key: x.contiguous() for key, x in theirs.state_dict().items()}, path)
    options = TIMM[name][1] if source == "timm" else {}
    ours = create_model(name, weights=path, **options).eval()
    x = picture(2, 3, side, side)
    expected = theirs(x)
    difference = farthest(ours(x), expected)
    weights = [p for p in ours.parameters() if p.ndim >= 2]
    middle = weights[len(weights) // 2]
    middle.copy_(middle.flip(0))
    return {
        "of": source,
        "model": name,
        "difference": difference,
        "disturbed": farthest(ours(x), expected),
        "between_images": farthest(expected[:1], expected[1:]),
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    rows = {(row["of"], row["model"]): row for row in found["rows"]}
    for source, names in (("torchvision", TORCHVISION), ("timm", list(TIMM))):
        for name in (name for name in names if fnmatchcase(name, asked.only)):
            with tempfile.TemporaryDirectory() as folder:
                rows[source, name] = compared(source, name, Path(folder))
            print(json.dumps(rows[source, name]), flush=True)
            versions = {"torchvision": torchvision.__version__, "timm": timm.__version__}
            found = {"command": "python benchmarks/parity.py", "machine": described() | versions}
            RESULTS.write_text(json.dumps(found | {"rows": list(rows.values())}, indent=1) + "\n")


if __name__ == "__main__":
    main()
