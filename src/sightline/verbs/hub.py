"""hub: a finished run as a model repository, and a repository as a run."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError, UsageError
from sightline.kinds.networks import load_task
from sightline.models.own import is_own
from sightline.runs.console import Console
from sightline.runs.published import checked, files_of, wanted, write_files
from sightline.runs.run import SEAL, Run, open_run
from sightline.storage.files import TEMPORARY, make_folder
from sightline.storage.hub import Repository


def push(
    run: Run | str | Path,
    repository: str,
    *,
    with_samples: bool = False,
    public: bool = False,
    endpoint: str | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Push a finished run to the model repository owner/name, which is made private where it does not exist; returns
    {run, repository, url, commit, files, bytes}.

    with_samples    also the report and the samples, which show images of the data
    public          make a new repository public
    endpoint        of the hub; HF_ENDPOINT or the public one by default
    """
    run, console = run if isinstance(run, Run) else open_run(run), console or Console()
    there = Repository(repository, endpoint=endpoint, allow_network=allow_network)
    files = files_of(run, samples=with_samples)
    console.say(f"pushing {len(files)} files, {sum(map(len, files.values())):,} bytes, to {there.name}")
    commit = there.upload(files, private=not public, message=f"Run {run.folder.name}")
    return {
        "run": str(run.folder),
        "repository": there.name,
        "url": f"{there.endpoint}/{there.name}",
        "commit": commit,
        "files": sorted(files),
        "bytes": sum(map(len, files.values())),
    }


def pull(
    repository: str,
    out: str | Path | None = None,
    *,
    endpoint: str | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> Run:
    """Pull a run from the repository owner/name, or owner/name@revision, into the folder `out` (owner-name by default).

    Only files of a run's own names are fetched, and kept if the run's manifest has their hashes. DamagedError for anything
    else, and then nothing is written.
    """
    console = console or Console()
    there = Repository(repository, endpoint=endpoint, allow_network=allow_network)
    folder = Path(out) if out is not None else Path(there.name.replace("/", "-"))
    if folder.exists():
        raise UsageError(f"{folder} exists", "name another folder")
    files, commit = fetched(there)
    make_folder(folder.parent)
    temporary = folder.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    try:
        write_files(temporary, files)
        run = open_run(temporary)
        if not is_own(run.recipe.model.name):  # code of somebody else's is not here, and is never fetched
            load_task(run)
        temporary.rename(folder)
    except UsageError as error:
        raise DamagedError(f"{there.name} cannot be opened: {error.message}", error.hint) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    console.say(f"{there.name} at {commit[:12]}: {len(files)} files, every hash as in its {SEAL}")
    return open_run(folder)


def fetched(there: Repository) -> tuple[dict[str, bytes], str]:
    """The files of the run in a repository, checked against its manifest, and the commit that they are of."""
    commit, sizes = there.listing()
    files = {name: there.fetch(name, commit, most) for name, most in wanted(sizes, there.name).items()}
    checked(files, there.name)
    return files, commit
