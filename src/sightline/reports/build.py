"""Run folder → one HTML file: read, evaluate, draw, fill the page.

The page runs no script and loads nothing: its content security policy allows images inside the file and the one
style sheet whose hash it names. Everything that came from outside (names, settings, messages) goes through `seen`,
which writes hidden characters out, and through the template's escaping; only the drawings made here are markup.
"""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup

from sightline.version import __version__

from .chapter import Chapter, ImageLookup
from .content import RunContent
from .facts import facts_of
from .page import page_values
from .template import HERE, environment
from .verdict import verdict


def render(content: RunContent, chapter: Chapter, *, load_image: ImageLookup) -> str:
    """The page as HTML text. `load_image(name)` returns the uint8 (h, w, c) image of that name in the data, None if it is
    unavailable."""
    css = (HERE / "style.css").read_text(encoding="utf-8")
    facts = facts_of(content, chapter)
    values = page_values(content, chapter, facts, verdict(facts, chapter), load_image=load_image)
    values |= {"css": Markup(css), "policy": policy(css), "version": __version__}
    return environment().get_template("page.html").render(values)


def policy(css: str) -> str:
    """The content security policy: nothing but images inside the file and this style sheet."""
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
