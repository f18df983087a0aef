"""Nothing that a stranger named can become part of the page: the elements stay those of the harmless report (H1, H3)."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from markdown_it import MarkdownIt

from sightline.kinds.catalogue import KINDS
from sightline.kinds.reporting import build_card, build_report, content_of
from sightline.reports.build import render
from sightline.reports.card import render_card
from sightline.reports.content import DataProblem, RunContent
from tests.fake_runs import Fake, image_lookup, trained, write_run

CHAPTER = KINDS["classification"].chapter
VOID = {"meta", "img", "br", "link", "input", "hr", "base"}
VECTORS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "<iframe src=//e.example>",
    "<style>*{display:none}</style>", "<base href=//e.example>", "<meta http-equiv=refresh content=0>", "<!-- ",
    "<a href=javascript:alert(1)>x</a>", "1. x", "1) x", "  2. x", "+ x", "===", "---", "| - |", "www.e.example",
    "<form action=//e.example><input>", "<math><mi>", "<plaintext>", "<b>", "</b>",
    " onmouseover=alert(1) x=", " style=color:red ", "javascript:alert(1)", "http://e.example/x.png", "{{7*7}}",
    "{% for i in x %}", "{{ config.__class__ }}", "{#", "${7*7}", "&lt;script&gt;", "&#60;b&#62;", "%3Cscript%3E",
    "=cmd|' /C calc'!A0", "../../etc/passwd", "\x00", "\x1b[31mred", "\u202egpj.exe", "\u2066x\u2069", "\u200b", "\ufeff",
    "\u2028", "\r\nSet-Cookie: a=b", "\t", "\udc80\udcff", "\U000e0041", "😀👩\u200d🔬", "שלום", "e\u0301" * 9, "'", '"',
    "`", "\\", "]]>", "|a|b|", "[x](http://e.example)", "![x](http://e.example/x.png)", "# x", "- x", "***", "~~~", "x" * 255,
)  # fmt: skip
BREAKS = (
    "",
    '">',
    "'>",
    "-->",
    "]]>",
    "</title>",
    "</style>",
    "</script>",
    "</bdi>",
    "</table>",
    "</svg>",
    "</code></pre>",
)
COUNT = 500


def payloads() -> list[str]:
    """Every vector as it is, then behind every way out of a context, then random text; the same list each time."""
    found = [vector or "x" for vector in VECTORS]
    found += [way + vector for way in BREAKS[1:] for vector in VECTORS if way]
    draw = np.random.default_rng(2024)
    pool = "<>\"'&/=`{}% \x00\x07\n\u202e\u2067éß漢😀" + "abcXYZ0"
    found = found[: COUNT - 60]
    while len(found) < COUNT:
        found.append("".join(draw.choice(list(pool), int(draw.integers(1, 256)))))
    return found


class Skeleton(HTMLParser):
    """Start and end tags with the names of their attributes, in order; what was in attributes and text is kept apart."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, ...]] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.style = ""
        self._in: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *sorted(name for name, _ in attrs)))
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._in.append(tag)

    def handle_endtag(self, tag):
        self.tags.append(("/" + tag,))
        assert self._in.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data):
        if self._in and self._in[-1] == "style":
            self.style += data

    def handle_comment(self, data):
        self.tags.append(("comment", data))

    def handle_pi(self, data):
        self.tags.append(("processing", data))


def skeleton(page: str) -> Skeleton:
    parser = Skeleton()
    parser.feed(page)
    parser.close()
    assert not parser._in
    return parser


def check(page: str) -> Skeleton:
    """What holds of every report, whatever is in it."""
    found = skeleton(page)
    policy = [v for tag, name, v in found.attributes if tag == "meta" and name == "content" and "default-src" in v]
    digest = base64.b64encode(hashlib.sha256(found.style.encode()).digest()).decode()
    assert len(policy) == 1
    assert policy[0].startswith("default-src 'none'; img-src data:; ")
    assert f"style-src 'sha256-{digest}'" in policy[0]
    assert "unsafe" not in policy[0]
    for tag, name, value in found.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "style", tag
        if name in ("href", "src", "action", "srcset", "xlink:href", "poster", "data"):
            assert re.fullmatch(r"#[a-z]+|data:image/png;base64,[A-Za-z0-9+/=]+", value), (tag, name, value[:80])
    assert not {t[0] for t in found.tags} & {"script", "link", "base", "iframe", "object", "embed", "form", "comment"}
    assert not re.search(r"url\(|@import|expression\(", found.style)
    hidden = {c for c in set(page) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n", "\u200d"}
    assert not hidden, {hex(ord(c)) for c in hidden}
    page.encode("utf-8")
    return found


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> RunContent:
    fake = Fake(
        problems=(
            {"file": "a.jpg", "line": 3, "reason": "truncated", "fix": "copy it again", "action": "quarantined"},
        ),
        run={"status": "stopped", "stopped": "by hand"},
        data={"quarantined": 1, "n": 1798},
    )
    content = content_of(write_run(tmp_path_factory.mktemp("runs") / "run", fake, trained()))
    evaluation, batch = content.evaluation, content.batch
    assert evaluation is not None
    assert batch is not None
    few = replace(
        evaluation.judgement, curves=evaluation.judgement.curves[:4], mistakes=evaluation.judgement.mistakes[:4]
    )
    return replace(
        content,
        evaluation=replace(evaluation, judgement=few),
        batch=replace(batch, names=batch.names[:3], labels=batch.labels[:3]),
    )


def poisoned(content: RunContent, text: str) -> RunContent:
    """The content with `text` in every place that a stranger can name: files, classes, run, settings, messages."""
    evaluation, data, model, batch = content.evaluation, content.data, content.model, content.batch
    assert evaluation is not None
    assert data is not None
    assert model is not None
    assert batch is not None
    classes = tuple(f"{text}{i}" for i in range(10))
    judgement = evaluation.judgement
    rows = tuple(row | {"class": name} for row, name in zip(judgement.per_class, classes, strict=True))
    counts = dict(zip(classes, data.counts.values(), strict=True))
    return replace(
        content,
        run=replace(content.run, name=text, reason=text, task=text, status=text, place=text),
        recipe=dict(content.recipe) | {text: text},
        recipe_text=f"{content.recipe_text}\nnote: {text}",
        environment={"device": text, "packages": {text: text}},
        evaluation=replace(
            evaluation,
            names=tuple(f"{text}/{i}.png" for i in range(len(evaluation.names))),
            classes=classes,
            judgement=replace(judgement, classes=classes, per_class=rows),
        ),
        data=replace(
            data, name=text, kind=text, classes=classes, counts=counts, problems=(DataProblem(*[text] * 5),), notes=(text,),
            hash=text,
        ),
        model=replace(
            model,
            name=text,
            options={text: text},
            layers=tuple(replace(layer, name=text, kind=text, output=text) for layer in model.layers),
        ),
        batch=replace(batch, names=(text,) * len(batch.names), labels=(text,) * len(batch.labels)),
        problems=(text,),
    )  # fmt: skip


def test_payloads_are_500_and_differ():
    assert len(set(payloads())) == len(payloads()) == COUNT


def test_elements_are_those_of_the_harmless_report(harmless):
    def gone(index):
        return None  # to draw pictures 500 times would prove nothing more

    expected = check(render(poisoned(harmless, "plain"), CHAPTER, load_image=gone)).tags
    assert len(expected) > 800
    for payload in payloads():
        found = check(render(poisoned(harmless, payload), CHAPTER, load_image=gone)).tags
        assert found == expected, f"{payload!r} changed the page"


@pytest.mark.parametrize("payload", ['"><img src=x onerror=alert(1)>', "{{7*7}}\u202e\x1b[2J", "n" * 255, "\udcff<b>"])
def test_hostile_folder_from_disk_to_page_and_card(tmp_path, payload):
    fakes = [
        Fake(
            name=name,
            classes=tuple(f"{name}{i}" for i in range(10)),
            names=(f"{name}/a.png",),
            problems=({"file": name, "line": 1, "reason": name, "fix": name, "action": name},),
            notes=(name,),
            run={"stopped": name, "status": "stopped"},
            data={"name": name},
        )
        for name in ("plain", payload)
    ]
    folders = [write_run(tmp_path / f"run{i}", fake, trained()) for i, fake in enumerate(fakes)]
    pages = [build_report(folder, load_image=image_lookup(trained())) for folder in folders]
    assert check(pages[1]).tags == check(pages[0]).tags
    if "7*7" in payload:
        assert "{{7*7}}" in pages[1]  # shown as it is, not computed
        assert "\\u202e\\u001b[2J" in pages[1]
    cards = [read_as_markdown(build_card(folder)).tags for folder in folders]
    assert cards[1] == cards[0]


def read_as_markdown(card: str) -> Skeleton:
    """The card as CommonMark with tables, raw HTML let through, so that whatever escapes the escaping shows."""
    found = skeleton(MarkdownIt("commonmark", {"html": True}).enable("table").render(card))
    assert not {t[0] for t in found.tags} & {"a", "img", "script", "b", "svg", "iframe", "style"}
    return found


def test_card_is_text_whatever_the_names(harmless):
    expected = read_as_markdown(render_card(poisoned(harmless, "plain"), CHAPTER)).tags
    assert {("h1",), ("h2",), ("table",), ("li",)} < set(expected)
    for payload in payloads()[::3] + list(VECTORS):
        card = render_card(poisoned(harmless, payload), CHAPTER)
        assert read_as_markdown(card).tags == expected, payload
        prose = "\n".join(line for line in card.splitlines() if not line.startswith("    "))  # all but commands
        assert not re.search(r"https?://|www\.\w", prose), payload  # nor does a bare address become a link
