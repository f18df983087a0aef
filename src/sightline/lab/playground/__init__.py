"""The playground: one HTML file in which two small networks train in the browser, without a library and without a request."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from sightline.errors import UsageError
from sightline.reports.build import policy
from sightline.reports.template import HERE as REPORTS
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


def write_playground(*, out: str | Path = "lab") -> str:
    """Write the playground as `out/playground.html` and return its path; UsageError where `out` is a file."""
    if Path(out).exists() and not Path(out).is_dir():
        raise UsageError(f"{out} is a file, not a folder", "name another folder with --out")
    make_folder(Path(out))
    page = Path(out) / NAME
    replace_file(page, playground_page().encode("utf-8"))
    return str(page)


def playground_page(*, index: bool = False) -> str:
    """The page as HTML text; with `index` it links back to the book's index. Its policy allows this one script, this one style
    sheet and nothing else."""
    css = "\n".join(path.read_text(encoding="utf-8") for path in (REPORTS / "style.css", _HERE / "playground.css"))
    script = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("page.html").render(
        css=Markup(css),
        script=Markup(script),
        policy=f"{policy(css)}; script-src 'sha256-{digest}'",
        digits=packed_digits(),
        speeds={"points": "medium", "digits": "slow"},
        index=index,
        version=__version__,
    )


def packed_digits() -> str:
    """scikit-learn's digits as base64 of gzip: 65 bytes each, 64 pixels from 0 to 16 and the label."""
    from sklearn.datasets import load_digits

    found = load_digits()
    rows = np.concatenate([found.data, found.target[:, None]], axis=1).astype(np.uint8)  # (1797, 65)
    return base64.b64encode(gzip.compress(rows.tobytes(), 9, mtime=0)).decode("ascii")
