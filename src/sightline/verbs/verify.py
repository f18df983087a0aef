"""verify: hash a run again and say, file by file, what is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.errors import CheckError, DamagedError
from sightline.runs.run import SEAL, Run, open_run
from sightline.runs.seal import file_entry
from sightline.storage.folders import verify_folder

_ANEW = "sightline train --resume {run} measures, reports and seals again where it is missing"


def verify(run: Run | str | Path) -> dict[str, Any]:
    """{run, ok, files: [{file, state, reason}]}, checkpoints among the files. Raises CheckError when anything is damaged.

    Not among them is what may be written anew: run.json, report.html, README.md, log.txt, timing.jsonl, samples/.
    """
    run = run if isinstance(run, Run) else open_run(run)
    rows = []
    try:
        ended = run.status.get("status") == "finished" or (run.folder / SEAL).exists()
        sealed = run.read_json(SEAL)["files"] if ended else {}
        for name, entry in sealed.items():
            now = file_entry(run.folder / name)
            reason = "missing" if now is None else "" if now == entry else "does not match its SHA-256"
            rows.append({"file": name, "state": "damaged" if reason else "good", "reason": reason})
    except (DamagedError, KeyError, AttributeError):
        rows.append({"file": SEAL, "state": "damaged", "reason": f"missing or broken; {_ANEW.format(run=run.folder)}"})
    for folder in sorted((run.folder / "checkpoints").glob("step-*")):
        try:
            verify_folder(folder)
            rows.append({"file": f"checkpoints/{folder.name}", "state": "good", "reason": ""})
        except DamagedError as error:
            rows.append({"file": f"checkpoints/{folder.name}", "state": "damaged", "reason": str(error)})
    if bad := [row for row in rows if row["state"] == "damaged"]:
        named = "; ".join(f"{row['file']}: {row['reason']}" for row in bad)
        raise CheckError(f"{len(bad)} of {len(rows)} parts of {run.folder} are damaged: {named}")
    return {"run": str(run.folder), "ok": True, "files": rows}
