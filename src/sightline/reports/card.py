"""README.md of a run: the model card (Mitchell et al. 2019, arXiv 1810.03993) from the same content as the report.

Text from outside loses its line breaks and hidden characters; everything that Markdown or HTML would interpret is escaped
(HTML's characters as references, the others by a backslash), and addresses that a renderer would turn into links are
broken up. Nothing else is escaped, because the file is also read raw.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sightline.drawing.svg import shortened
from sightline.storage.text import printable

from .chapter import Chapter
from .content import RunContent
from .facts import facts_of
from .finding import VerdictFacts
from .page import data_values, environment, model_facts
from .parts.start import start_values
from .parts.tables import metrics_table
from .verdict import Verdict, verdict

_REFERENCES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_ACTIVE = frozenset("\\`*_{}[]#|~$@")
_OPENING = re.compile(r"^(\s*)([-+=]|\d+(?=[.)](?:\s|$)))")  # begins a list, a rule or a heading at the start of a text
_ADDRESS = re.compile(r"(:)(//)|(www)(\.)", re.IGNORECASE)  # a renderer turns these into links on its own
MOST_CLASSES = 30


def render_card(content: RunContent, chapter: Chapter) -> str:
    """The card as Markdown text."""
    facts = facts_of(content, chapter)
    conclusion = verdict(facts, chapter)
    parts = [
        f"# {text(content.run.name)}",
        _opening(content, conclusion),
        _findings(conclusion),
        _figures(content, chapter, facts),
        _classes(content, chapter, facts),
        _mistakes(chapter, facts),
        _data(content),
        _model(content),
        _start(content),
        _rerun(content, facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(value: object, length: int = 400) -> str:
    """Text from outside as Markdown that shows it literally."""
    whole = shortened(value, length)
    escaped = "".join(_REFERENCES.get(c) or (f"\\{c}" if c in _ACTIVE else c) for c in whole)
    escaped = _ADDRESS.sub(lambda m: f"{m[1]}&#8203;{m[2]}" if m[1] else f"{m[3]}&#8203;{m[4]}", escaped)
    return _OPENING.sub(lambda m: f"{m[1]}&#{ord(m[2][0])};{m[2][1:]}", escaped)


def code(value: str) -> str:
    """A command as an indented block, in which Markdown has no meaning; one line, whatever it holds."""
    return f"    {printable(value)}"


def _opening(content: RunContent, conclusion: Verdict) -> str:
    lines = [text(conclusion.headline)]
    if conclusion.limit:
        lines.append(text(conclusion.limit))
    lines.append(text(f"Task: {content.run.task or 'unknown'}. State: {content.run.status}."))
    return "\n\n".join(lines)


def _findings(conclusion: Verdict) -> str:
    """One list item per finding, with the commands below it."""
    items = []
    for finding in conclusion.findings:
        words = " ".join(part for part in (finding.sentence, finding.evidence) if part)
        item = f"- **{text(finding.title)}** ({finding.severity}). {text(words)}"
        tries = [
            f"  - {text(t.what)}" + (f"\n\n        {printable(t.command)}" if t.command else "")
            for t in finding.try_next
        ]
        items.append("\n".join([item, *tries]))
    return "## Verdict\n\n" + "\n".join(items) if items else ""


def _figures(content: RunContent, chapter: Chapter, facts: VerdictFacts) -> str:
    table = metrics_table(content, chapter, facts)
    if table is None:
        return ""
    head = [
        "metric",
        *table["splits"],
        *([f"95 % interval ({table['interval_split']})"] if table["interval_split"] else []),
    ]
    rows = [[r["name"], *r["cells"], *([r["interval"]] if table["interval_split"] else [])] for r in table["rows"]]
    return f"## Metrics\n\n{_table(head, rows)}\n\n{text(table['note'])}"


def _classes(content: RunContent, chapter: Chapter, facts: VerdictFacts) -> str:
    if content.evaluation is None or chapter.class_table is None:
        return ""
    head, cells = chapter.class_table(content.evaluation, facts, chapter.limits)
    more = f"\n\n{len(cells) - MOST_CLASSES} more classes are in the report." if len(cells) > MOST_CLASSES else ""
    return f"## Class by class\n\n{_table(head, cells[:MOST_CLASSES])}{more}"


def _mistakes(chapter: Chapter, facts: VerdictFacts) -> str:
    """The kinds of mistakes and how often they occur."""
    table = chapter.mistakes(facts)
    return f"## Mistakes\n\n{_table(*table)}" if table is not None else ""


def _data(content: RunContent) -> str:
    values = data_values(content.data)
    if values is None:
        return ""
    notes = [f"- {text(note)}" for note in values["notes"]]
    return "\n".join(["## Data", "", *_pairs(values["facts"]), *notes])


def _model(content: RunContent) -> str:
    return "\n".join(["## Model", "", *_pairs(model_facts(content.model))]) if content.model is not None else ""


def _start(content: RunContent) -> str:
    """The weights that training began with, and their terms."""
    values = start_values(content)
    if values is None:
        return ""
    table = (
        [
            text(values["table"]["note"]),
            *(text(f"{r['what']}; {r['why']}") for r in values["table"]["rows"] if r["here"]),
        ]
        if values["table"]
        else []
    )
    lines = [
        text(values["intro"]),
        *([text(values["terms"])] if values["terms"] else []),
        "\n".join(_pairs(values["facts"])),
    ]
    return "\n\n".join(["## Starting weights", *lines, *([" ".join(table)] if table else [])])


def _rerun(content: RunContent, facts: VerdictFacts) -> str:
    lines = ["## Run it again", "", code(facts.command), "", *_pairs(environment(content))]
    return "\n".join(lines).rstrip()


def _pairs(pairs: Sequence[tuple[str, object]]) -> list[str]:
    return [f"- {text(name)}: {text(value)}" for name, value in pairs]


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """A table; all columns but the first are numbers."""
    marks = [":--", *["--:"] * (len(head) - 1)]
    lines = [head, *rows]
    cells = ["| " + " | ".join(text(cell, 60) for cell in line) + " |" for line in lines]
    return "\n".join([cells[0], "| " + " | ".join(marks) + " |", *cells[1:]])
