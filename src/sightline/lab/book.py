"""Writing pages: one experiment, or all of them as a book. Files appear whole; those of an earlier book are replaced."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from sightline.errors import UsageError
from sightline.storage.files import make_folder, replace_file

from .catalogue import Entry, entries, find, load
from .page import experiment_page, index_page
from .playground import NAME, SENTENCE, TITLE, playground_page
from .running import SEEDS, Listener, run


def run_experiment(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    seeds: Sequence[int] = SEEDS,
    out: str | Path = "lab",
    console: Listener | None = None,
) -> dict[str, Any]:
    """Run one experiment and write its page `out/NAME.html`.

    parameters    other values for the experiment's own keys
    seeds         one run each; every claim must hold for all of them

    Returns its numbers, claims and `page`. UsageError for an unknown experiment, key or value.
    """
    return _run_one(find(name), parameters or {}, tuple(seeds), Path(out), index=False, listener=console)


def build_book(
    *,
    seeds: Sequence[int] = SEEDS,
    out: str | Path = "lab",
    console: Listener | None = None,
    processes: int | None = None,
) -> dict[str, Any]:
    """Run all experiments, a process for each core, and write `out/index.html` with a page for each and the playground.

    Returns {holds, experiments, page, seconds of each}; `holds` is False where one claim fails for one seed."""
    found: dict[str, dict[str, Any]] = {}
    chosen = list(entries().values())
    pool = ProcessPoolExecutor(processes or os.cpu_count(), mp_context=multiprocessing.get_context("spawn"))
    with pool:
        waiting = {pool.submit(_run_one, e, {}, tuple(seeds), Path(out), index=True, listener=None): e for e in chosen}
        for done in as_completed(waiting):
            entry = waiting[done]
            found[entry.name] = done.result()
            if console is not None:
                words = "holds" if found[entry.name]["holds"] else "DOES NOT HOLD"
                console.say(
                    f"{len(found)} of {len(chosen)}  {entry.name}: {words}, {found[entry.name]['seconds']:.1f} s"
                )
    ordered = [found[e.name] for e in chosen]
    rows = [
        {
            "topic": e.topic, "name": e.name, "title": e.title, "question": e.question,
            "holds": row["holds"], "claims": len(row["claims"]),
        }
        for e, row in zip(chosen, ordered, strict=True)
    ]  # fmt: skip
    page = Path(out) / "index.html"
    replace_file(Path(out) / NAME, playground_page(index=True).encode("utf-8"))
    replace_file(page, index_page(rows, extras=[(NAME, TITLE, SENTENCE)]).encode("utf-8"))
    return {"holds": all(r["holds"] for r in ordered), "experiments": ordered, "page": str(page)}


def _run_one(
    entry: Entry,
    parameters: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    *,
    index: bool,
    listener: Listener | None,
) -> dict[str, Any]:
    page = out / f"{entry.name}.html"
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", "name another folder with --out")
    outcome = run(entry, load(entry), parameters, seeds=seeds, listener=listener)
    make_folder(out)
    replace_file(page, experiment_page(outcome, index=index).encode("utf-8"))
    return {**outcome.to_json(), "page": str(page)}
