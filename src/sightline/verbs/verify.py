"""verify: compare the files of a run with the hashes that were recorded when they were written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sightline.errors import CheckError, DamagedError
from sightline.runs.run import SEAL, Run, open_run
from sightline.runs.seal import file_entry
from sightline.storage.folders import verify_folder
from sightline.storage.reading import inside
from sightline.storage.schema import brief_text

_ANEW = "if it is missing, sightline train --resume {run} writes it again"


def verify(run: Run | str | Path) -> dict[str, Any]:
    """{run, ok, files: [{file, state, reason}]}, including checkpoints. CheckError if anything is damaged.

    Files that may be written again are not checked: run.json, report.html, README.md, log.txt, timing.jsonl, samples/.
    """
    run = run if isinstance(run, Run) else open_run(run)
    rows = []
    try:
        ended = run.status.get("status") == "finished" or os.path.lexists(run.folder / SEAL)
        sealed = run.fields(SEAL).fields("files").values if ended else {}
        for name, entry in sealed.items():
            if not inside(run.folder, name):
                reason = "is not in the run"
            else:
                now = file_entry(run.folder / name)
                reason = "missing" if now is None else "" if now == entry else "does not match its SHA-256"
            rows.append({"file": brief_text(name), "state": "damaged" if reason else "good", "reason": reason})
    except DamagedError:
        rows.append({"file": SEAL, "state": "damaged", "reason": f"missing or broken; {_ANEW.format(run=run.folder)}"})
    for folder in sorted((run.folder / "checkpoints").glob("step-*")):
        try:
            if not inside(run.folder, f"checkpoints/{folder.name}"):
                raise DamagedError("is not in the run")
            verify_folder(folder)
            rows.append({"file": f"checkpoints/{folder.name}", "state": "good", "reason": ""})
        except DamagedError as error:
            rows.append({"file": f"checkpoints/{folder.name}", "state": "damaged", "reason": str(error)})
    if bad := [row for row in rows if row["state"] == "damaged"]:
        named = "; ".join(f"{row['file']}: {row['reason']}" for row in bad)
        raise CheckError(f"{len(bad)} of {len(rows)} parts of {run.folder} are damaged: {named}")
    return {"run": str(run.folder), "ok": True, "files": rows}
