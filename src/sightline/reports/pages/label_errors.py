"""The page of labels that are probably wrong: how many, which pairs of classes, and the worst as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightline.drawing.png import Picture, fitted, png_bytes
from sightline.evaluation.label_errors.finding import LabelFindings, Suspicion
from sightline.reports.parts.picture import KILOBYTE, page_picture
from sightline.reports.wording import plural

from .page import AnswerPage, Table, Thumbnail, render_answer

SHOWN = 96  # pictures
LARGEST, LIMIT, TINY = 480, 60 * KILOBYTE, 64  # pixels and bytes of a picture; side up to which pixels are shown
WEAK = 0.8  # agreement below which most suspicions are the network's own mistakes


def label_errors_page(
    findings: LabelFindings,
    *,
    name: str,
    names: Callable[[int], str],
    picture: Callable[[Suspicion], Picture | None],
    chips: Sequence[str],
    command: str,
    facts: Sequence[tuple[str, str]],
) -> str:
    """The page as HTML text. `names` gives the file of an id, `picture` the image of a suspicion, None if it is gone."""
    shown = findings.candidates[:SHOWN]
    return render_answer(
        AnswerPage(
            title="Labels to check",
            name=name,
            chips=chips,
            verdict=headline(findings),
            sentences=(_advice(findings),),
            number=f"{len(findings.candidates):,}",
            under=f"of {plural(findings.checked, findings.unit)} to check",
            thumbnails=[_thumbnail(s, names(s.id), picture(s)) for s in shown],
            thumbnails_title="The most suspicious first" if shown else "",
            thumbnails_intro=_intro(findings),
            tables=_tables(findings),
            command=command,
            facts=facts,
        )
    )


def headline(findings: LabelFindings) -> str:
    """One sentence: how many annotations are worth a look."""
    number = len(findings.candidates)
    if not findings.checked:
        return "There are no labels to check."
    if not number:
        return f"None of the {plural(findings.checked, findings.unit)} looks wrong."
    looks = "looks" if number == 1 else "look"
    return f"{number:,} of {plural(findings.checked, findings.unit)} {looks} wrong."


def _advice(findings: LabelFindings) -> str:
    if not findings.candidates:
        return "Errors between classes that the network confuses go unnoticed: longer training may reveal more."
    if findings.agreement is not None and findings.agreement < WEAK:
        return (
            f"The predictions agree with only {findings.agreement:.0%} of the {findings.unit}s, so most suspicions are "
            "mistakes of the network, not of the labels. The first are the surest; a better network (-m, --epochs) narrows "
            "the list."
        )
    return (
        "Look at the images in this order and correct the data at their source. A suspicion is not a proof: rare views and "
        "images that show two classes are suspected too."
    )


def _intro(findings: LabelFindings) -> str:
    shown, number = min(SHOWN, len(findings.candidates)), len(findings.candidates)
    rest = f" The first {shown:,} of {number:,}; the .csv lists all." if number > shown else ""
    return f"Bold: the label that the data give → the one that the predictions suggest.{rest}"


def _tables(findings: LabelFindings) -> list[Table]:
    pairs = findings.pairs()
    if not pairs:
        return []
    rows = [(given or "no box", suggested or "no object", fault, f"{n:,}") for fault, given, suggested, n in pairs]
    return [
        Table(
            "Which labels are confused",
            (("given", ""), ("suggested", ""), ("fault", ""), ("to check", "num")),
            rows,
            note="A pair that stands out is often one decision made differently by two annotators: settle it by a rule.",
        )
    ]


def _thumbnail(suspicion: Suspicion, name: str, pixels: Picture | None) -> Thumbnail:
    title = f"{suspicion.given or 'no box'} → {suspicion.suggested or 'no object'}"
    if pixels is None:
        return Thumbnail("", 0, 0, False, title, suspicion.words, name)
    view = page_picture(png_bytes(fitted(pixels, least=120, most=LARGEST)), most=LARGEST, limit=LIMIT)
    return Thumbnail(view.image, view.width, view.height, max(pixels.shape[:2]) <= TINY, title, suspicion.words, name)
