"""The documentation as static pages in build/site: docs/, the API with signatures and docstrings, the playground, and the
laboratory's book where `make lab` built it.

    python benchmarks/docs_site.py      needs the extra `docs`, no network; a warning is an error
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import sightline
from sightline.lab.catalogue import list_experiments
from sightline.lab.playground import write_playground

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# The order of the site. Every page of docs/ is in one chapter; a test holds that.
CHAPTERS = {
    "Use it": [
        "command-line", "data-files", "defaults", "fine-tuning", "augmentation", "training", "tune", "python", "explain",
        "detection", "region-proposals", "segmentation", "multitask", "diagnosis", "label-errors", "compare", "attack",
        "generation", "faces-and-style", "similarity", "classical", "language", "export", "serving", "app", "tracking", "hub",
    ],
    "Learn it": [
        "tutorials/softmax-classifier", "tutorials/convolutional-network", "tutorials/segmentation", "tutorials/evaluation",
        "tutorials/reading-papers", "tutorials/ethics", "lab", "errata",
    ],
    "Look it up": ["networks", "benchmarks", "gallery", "reference", "architecture"],
}  # fmt: skip
ROOMS = {
    "sightline": "The verbs, as the command line has them, and a run.",
    "sightline.layers": "What networks are built from.",
    "sightline.losses": "What training descends.",
    "sightline.metrics": "What predictions are measured by.",
    "sightline.models": "Networks by name, their weights and descriptions.",
}
START = """# sightline

Deep learning for computer vision that you can see through: images in; a trained, measured, explained, documented, served model
out, from one command, on a laptop.

    sightline train photos/          # one folder per class, or tables, masks, boxes of any usual tool
    sightline predict runs/photos new_pictures/

![The first page of a run's report](report.png)
"""


def assemble(source: Path, out: Path) -> None:
    """Write the Markdown that Sphinx reads into the folder `source`; `out` is where the site will be."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("__pycache__"))
    for page in source.rglob("*.md"):
        page.write_text(within_site(page.read_text(encoding="utf-8"), page.relative_to(source)), encoding="utf-8")
    (source / "api").mkdir()
    for room, about in ROOMS.items():
        (source / "api" / f"{room}.md").write_text(api_page(room, about), encoding="utf-8")
    (source / "book.md").write_text(book_page(out / "lab"), encoding="utf-8")
    chapters = CHAPTERS | {"Learn it": [*CHAPTERS["Learn it"], "book"], "API": [f"api/{room}" for room in ROOMS]}
    (source / "index.md").write_text(START + "".join(_contents(c, names) for c, names in chapters.items()), "utf-8")


def _contents(caption: str, names: list[str]) -> str:
    return f"\n```{{toctree}}\n:caption: {caption}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"


def within_site(text: str, page: Path) -> str:
    """Links to files of the project outside of docs/ become their paths: the site holds pages, not the sources."""

    def replaced(found: re.Match[str]) -> str:
        words, target = found.groups()
        path = Path(os.path.normpath(Path("docs") / page.parent / target.split("#")[0]))
        if path.parts[0] == "docs":
            return found[0]
        if path == Path("README.md"):
            return f"[{words}]({'../' * (len(page.parts) - 1)}index.md)"
        return words if words.strip("`") == str(path) else f"{words} (`{path}`)"

    return re.sub(r"\[([^\]]+)\]\((?!\w+://)([^)#]+(?:#[^)]*)?)\)", replaced, text)


def api_page(room: str, about: str) -> str:
    """Every public name of a room with its signature, which has the shapes of tensors, and its docstring."""
    module = sightline if room == "sightline" else getattr(sightline, room.split(".")[1])
    parts = [
        f'# `{room}`\n\n{about} Shapes are those of jaxtyping: `Float[Tensor, "n c h w"]` is a tensor of n images.\n'
    ]
    for name in sorted(module.__all__, key=str.lower):
        thing = getattr(module, name)
        text = inspect.getdoc(thing) if inspect.isclass(thing) or callable(thing) or inspect.ismodule(thing) else ""
        parts.append(f"\n## {name}\n\n")
        if signature := _signature(name, thing):
            parts.append(f"```text\n{signature}\n```\n\n")
        parts.append(_as_markdown(text) if text else f"A {type(thing).__name__}.\n")
    return "".join(parts)


def _as_markdown(docstring: str) -> str:
    """Paragraphs as text, with what is between backticks as code; what is aligned in columns stays as it stands."""
    parts = []
    for paragraph in docstring.split("\n\n"):
        aligned = any(re.search(r"^\s|\S\s{2,}\S", line) for line in paragraph.splitlines())
        if aligned or paragraph.count("`") % 2:
            parts.append(f"````text\n{paragraph}\n````\n")
        else:
            pieces = paragraph.split("`")
            pieces[::2] = [re.sub(r"([\\*_<>\[\]#|~$&])", r"\\\1", piece) for piece in pieces[::2]]
            parts.append("`".join(pieces) + "\n")
    return "\n".join(parts)


def _signature(name: str, thing: Any) -> str:
    """In one line, or a parameter a line where it is long."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    line = f"{name}{signature}".replace("'", "")
    if len(line) <= 100:
        return line
    shown = ",\n    ".join(str(p).replace("'", "") for p in signature.parameters.values())
    back = signature.return_annotation
    return f"{name}(\n    {shown},\n)" + ("" if back is inspect.Signature.empty else f" -> {back}".replace("'", ""))


def book_page(lab: Path) -> str:
    """Links to the experiments' pages where they were built; the playground is always there."""
    lines = [
        "# Experiments\n\n",
        '<p><a href="lab/playground.html">The playground</a>: two networks that learn in the browser.</p>\n',
    ]
    rows = list_experiments()
    for topic in dict.fromkeys(row["topic"] for row in rows):
        lines.append(f"\n## {topic}\n\n")
        for row in (row for row in rows if row["topic"] == topic):
            built = (lab / f"{row['name']}.html").is_file()
            title = (
                f'<a href="lab/{row["name"]}.html">{row["title"]}</a>'
                if built
                else f"`sightline lab {row['name']}`: {row['title']}"
            )
            lines.append(f"- {title}\n")
    return "".join(lines)


def build(work: Path, book: Path) -> Path:
    """The site as `work/site`, with the book's pages from the folder `book` where there is one. CalledProcessError where Sphinx
    warns."""
    source, out = work / "site-source", work / "site"
    shutil.rmtree(out, ignore_errors=True)
    if (book / "index.html").is_file():
        shutil.copytree(book, out / "lab")
    write_playground(out=out / "lab")
    assemble(source, out)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(work / "site-trees")]
    subprocess.run([*command, str(source), str(out)], check=True)
    return out


if __name__ == "__main__":
    print(build(ROOT / "build", ROOT / "build" / "lab") / "index.html")
