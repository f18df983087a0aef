"""One HTML file with the model inside: it predicts in a browser, offline, from a file:// address.

The page holds onnxruntime-web, packed, and the graphs that passed the gate. Its content policy allows no request at
all, so no image can leave it.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from .web_runtime import WebRuntime

NAME = "demo.html"
SCRIPTS = ("geometry.js", "reading.js", "decoding.js", "page.js")  # in this order one module
_SHOWN = ("classes", "decoding", "threshold")  # facts that the page needs
_MIT = "onnxruntime-web is by Microsoft Corporation, under the MIT licence."


def demo_page(
    facts: Mapping[str, Any], preprocessing: Mapping[str, Any], graphs: Mapping[str, bytes], runtime: WebRuntime
) -> bytes:
    """The page. `graphs` are ONNX files by name, `facts` those of export.json."""
    known = {name: facts[name] for name in _SHOWN}
    known |= {"graphs": list(graphs), "preprocessing": dict(preprocessing)}
    payload = {"runtime-script": runtime.script, "runtime-binary": runtime.binary}
    payload |= {f"graph-{name}": data for name, data in graphs.items()}
    parts = {
        "title": html.escape(str(facts["name"])),
        "about": html.escape(f"{facts['model']}, {len(facts['classes']):,} classes, exported by sightline."),
        "footer": html.escape(f"Everything runs in this page. {_MIT}"),
        "facts": _inert(json.dumps(known)),
        "payload": "\n".join(
            f'<script type="text/plain" id="{name}">{_packed(data)}</script>' for name, data in payload.items()
        ),
        "script": "\n".join(_asset(name) for name in SCRIPTS),
    }
    page = re.sub("@(" + "|".join(parts) + ")@", lambda found: parts[found[1]], _asset("page.html"))
    return page.encode()


def _asset(name: str) -> str:
    return (resources.files("sightline.exports") / "page" / name).read_text(encoding="utf-8")


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


def _inert(text: str) -> str:
    """JSON that cannot end the element it stands in."""
    return text.replace("<", "\\u003c")
