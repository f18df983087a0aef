"""The playground: one HTML file in which two small networks train in the browser, without a library and without a request."""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from sightline.errors import UsageError
from sightline.storage.files import make_folder, replace_file
from sightline.version import __version__

NAME = "playground.html"
TITLE = "Playground"
SENTENCE = "A small network on points and one on digits, training live in the browser."
# In this order one module; the first five need no browser.
SCRIPTS = (
    "random.js", "network.js", "training.js", "points.js", "pad.js", "drawing.js", "running.js", "points_half.js",
    "digits_half.js", "start.js",
)  # fmt: skip
_HERE = Path(__file__).parent
_REPORT_SHEET = resources.files("sightline") / "reports" / "style.css"  # read, not imported: that room needs torch


def write_playground(*, out: str | Path = "lab") -> str:
    """Write the playground as `out/playground.html` and return its path; UsageError where `out` is a file."""
    if Path(out).exists() and not Path(out).is_dir():
        raise UsageError(f"{out} is a file, not a folder", "name another folder with --out")
    make_folder(Path(out))
    page = Path(out) / NAME
    replace_file(page, playground_page().encode("utf-8"))
    return str(page)


def playground_page(*, index: bool = False) -> str:
    """The page as HTML text; with `index` it links back to the book's index. Imports no torch."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html").render(
        css=Markup(_sheet()),
        script=Markup(_script()),
        policy=policy(),
        digits=packed_digits(),
        speeds={"points": "medium", "digits": "slow"},
        index=index,
        version=__version__,
    )


def policy() -> str:
    """The content security policy: this one script, this one style sheet, and nothing else."""
    script, sheet = (_hash(text) for text in (_script(), _sheet()))
    return f"default-src 'none'; script-src {script}; style-src {sheet}; base-uri 'none'; form-action 'none'"


@cache
def _script() -> str:
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)


@cache
def _sheet() -> str:
    own = (_HERE / "playground.css").read_text(encoding="utf-8")
    return _REPORT_SHEET.read_text(encoding="utf-8") + "\n" + own


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


@cache
def packed_digits() -> str:
    """scikit-learn's digits as base64 of gzip: 65 bytes each, 64 pixels from 0 to 16 and the label."""
    from sklearn.datasets import load_digits

    found = load_digits()
    rows = np.concatenate([found.data, found.target[:, None]], axis=1).astype(np.uint8)  # (1797, 65)
    return base64.b64encode(gzip.compress(rows.tobytes(), 9, mtime=0)).decode("ascii")
