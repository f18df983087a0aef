"""The documentation site: every page has its place, every link leads somewhere, it builds without a warning or a request."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

import sightline
from tests.architecture.test_pages import ROOT, script

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
SITE = script("docs_site")


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 1
        while (slug if number == 1 else f"{slug}-{number - 1}") in found:
            number += 1
        found.add(slug if number == 1 else f"{slug}-{number - 1}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_their_headings_are_there(page: Path) -> None:
    for target, _, anchor in re.findall(r"\]\(((?!\w+:)[^)#]*)(#([^)]*))?\)", page.read_text()):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in slugs(file), f"{target}#{anchor}"


def test_every_page_is_in_one_chapter() -> None:
    names = [name for chapter in SITE.CHAPTERS.values() for name in chapter]
    there = sorted(str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md"))
    assert sorted(names) == there


def test_the_configuration_needs_what_is_pinned() -> None:
    """The extra `docs` has the theme and the extensions of docs/conf.py, and constraints.txt pins each."""
    settings: dict[str, object] = {}
    exec((DOCS / "conf.py").read_text(), settings)
    used = {"sphinx", str(settings["html_theme"]), *(name.replace("_", "-") for name in settings["extensions"])}  # type: ignore[attr-defined]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {re.split("[><=]", line)[0] for line in extras["docs"]} == used
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()[1:]}
    assert used <= pinned


def test_links_out_of_the_pages_become_paths() -> None:
    text = "[rules](../src/sightline/recipes) [`src/a.py`](../src/a.py) [start](../README.md) [here](app.md#keys) [x](https://x.y)"
    found = SITE.within_site(text, Path("defaults.md"))
    assert found == "rules (`src/sightline/recipes`) `src/a.py` [start](index.md) [here](app.md#keys) [x](https://x.y)"
    assert (
        SITE.within_site("[a](../lab.md) [b](../../README.md)", Path("tutorials/x.md"))
        == "[a](../lab.md) [b](../index.md)"
    )


def test_the_api_has_every_name_with_its_shapes() -> None:
    page = SITE.api_page("sightline.losses", "About.")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == sorted(sightline.losses.__all__, key=str.lower)
    assert page.count("Float[Tensor, ") > 5


class Addresses(HTMLParser):
    """The addresses in a page: what it links to, and what it loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and value:
                (self.links if tag == "a" else self.loaded).add(value)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="the extra docs is needed")
def test_the_site_builds(tmp_path: Path) -> None:
    """Without a warning (Sphinx ends with an error otherwise); nothing is loaded from elsewhere; no link is broken."""
    (tmp_path / "book").mkdir()
    for name in ("index", "decision-boundary"):
        (tmp_path / "book" / f"{name}.html").write_text("<title>Book</title>")
    out = SITE.build(tmp_path / "work", tmp_path / "book")
    for page in out.rglob("*.html"):
        found = Addresses(page)
        assert not [a for a in found.loaded if re.match(r"(\w+:)?//", a)], page
        for address in found.links | found.loaded:
            if not re.match(r"\w+:", address) and address.split("#")[0]:
                assert (page.parent / address.split("#")[0].split("?")[0]).exists(), (page.name, address)
    assert (out / "lab" / "playground.html").is_file()
    assert 'href="lab/decision-boundary.html"' in (out / "book.html").read_text()
    assert (out / "searchindex.js").is_file()
