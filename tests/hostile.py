"""Files of a run that were changed and, where a hash guards them, hashed again: what a stranger's run may hold.

`mutants(value, draw)` changes one value of a JSON object by type, sign, size or NaN; `rehash` and `reseal` make the change
look as if it had been written so. `outcome` sends a changed run through a verb. The default suite takes a seeded sample,
`make hostile` a thousand.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from sightline.cli.main import app

Path_ = tuple[str | int, ...]
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**30, 1e308, -1e308, "", "x", "é" * 400, "../../etc/passwd", [], {}, [1, None], {"a": []},
)  # fmt: skip
# Python writes and reads these, although JSON has none of them
NOT_JSON = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"[" * 5_000, b"9" * 5_000)
_PLACE = "the place of the value"


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The path of every value, inner ones included."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def replaced(value: Any, path: Path_, new: Any) -> Any:
    """A copy with another value at the path."""
    changed = copy.deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = new
    return changed


def changes(value: Any, path: Path_) -> list[bytes]:
    """The JSON with one value changed in every way."""
    found = [json.dumps(replaced(value, path, new)).encode() for new in WRONG]
    old = value
    for key in path:
        old = old[key]
    if isinstance(old, int | float) and not isinstance(old, bool):
        found += [json.dumps(replaced(value, path, new)).encode() for new in (-old - 1, old + 1, old * 1e6, str(old))]
    text = json.dumps(replaced(value, path, _PLACE)).encode()
    return [*found, *(text.replace(json.dumps(_PLACE).encode(), word) for word in NOT_JSON)]


def mutant(data: bytes, name: str, draw: random.Random) -> bytes:
    """A file of a run with one thing changed: a value of its JSON, a bit, its end, a line, the header of its tensors."""
    if name.endswith(".json") and draw.random() < 0.7:
        value = json.loads(data)
        return draw.choice(changes(value, draw.choice(list(leaves(value)))))
    if name.endswith(".yaml") and draw.random() < 0.7:
        lines = data.decode().splitlines()
        place = draw.randrange(len(lines))
        key, colon, _ = lines[place].partition(": ")
        word = draw.choice(YAML) if colon else draw.choice(("- x", "a: b: c", "\t", "&a *a"))
        lines[place] = f"{key}: {word}" if colon else word
        return "\n".join(lines).encode()
    if name.endswith(".safetensors") and draw.random() < 0.7:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        head = draw.choice(changes(header, draw.choice(list(leaves(header)))))
        stated = draw.choice((len(head), len(head), len(head), 0, 1 << 62, len(data)))
        return struct.pack("<Q", stated) + head + data[8 + length :]
    choice, place = draw.randrange(4), draw.randrange(max(len(data), 1))
    if choice == 0:
        return data[:place]
    if choice == 1:
        return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :] if data else b"?"
    if choice == 2:
        return data[:place] + draw.randbytes(16) + data[place:]
    return draw.choice((b"", b"\0" * 100, b"null", b"[]", b"{}", b"\xff\xfe", b"9" * 9_000))


YAML = (
    "2024-99-99", "!!timestamp 2024-99-99", "9" * 5_000, "!!int abc", "!!int ''", "!!float q", "!!binary '?'", "!!set {a}",
    "&a [*a]", "{1: 2}", "[" * 900, "1e999", ".inf", "-1", "0", "1e308", "1000000000000000000000000000000", "null", "true",
    "[]", "{}", "''", "../..", '"\\0"', "é", "x", "1", "'1'", "{a: {b: c}}", "2",
)  # fmt: skip


def rehash(folder: Path, *, state: bool = False) -> None:
    """Make a checkpoint's manifest agree with its files and with itself; with `state`, also the hash inside state.json."""
    if state:
        saved = json.loads((folder / "state.json").read_bytes())
        own = {key: value for key, value in saved.items() if key != "sha256"}
        own_hash = hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()
        (folder / "state.json").write_text(json.dumps({**own, "sha256": own_hash}))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for name in manifest["files"]:
        data = (folder / name).read_bytes()
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_manifest(folder, manifest)


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """With the manifest's own hash."""
    body = {key: value for key, value in manifest.items() if key != "sha256"}
    own = hashlib.sha256(json.dumps(body, indent=1, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**body, "sha256": own}, indent=1, sort_keys=True))


def reseal(run: Path, name: str) -> None:
    """Make a run's seal agree with a changed file."""
    seal = json.loads((run / "manifest.json").read_bytes())
    if name in seal["files"]:
        data = (run / name).read_bytes()
        seal["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (run / "manifest.json").write_text(json.dumps(seal))


FILES = (
    "recipe.yaml", "recipe.yaml", "preprocessing.json", "data.json", "metrics.json", "run.json", "manifest.json",
    "model/config.json", "model/model.safetensors", "history.csv", "metrics.jsonl", "timing.jsonl", "environment.json",
    "predictions/test.parquet", "samples/batch.json", "checkpoints",
)  # fmt: skip
KEPT = ("recipe.yaml", "data.json", "metrics.json", "history.csv", "metrics.jsonl", "model/model.safetensors")


def attempt(finished: Path, image: Path, folder: Path, number: int) -> dict[str, Any]:
    """One mutant of a finished run through one verb: its file, its verb, its exit code, and what went wrong, if anything.

    A resumed run that finishes must hold, and have sealed, exactly what the undamaged run holds.
    """
    draw = random.Random(f"hostile/{number}")
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(finished, run)
    name = draw.choice(FILES)
    if name == "checkpoints":
        name = f"checkpoints/{max((run / 'checkpoints').iterdir()).name}/{draw.choice(('manifest.json', 'state.json'))}"
    _hurt(run, name, draw)
    verb = draw.choice(("predict", "verify", "report", "evaluate", "resume"))
    if verb == "resume":
        seal = run / "manifest.json"
        shutil.rmtree(seal) if seal.is_dir() else seal.unlink(missing_ok=True)
    arguments = {"predict": ["predict", str(run), str(image)], "resume": ["train", "--resume", str(run)]}
    done = CliRunner().invoke(app, [*arguments.get(verb, [verb, str(run)]), "-q"])
    problem = _problem(done, verb, run, finished)
    return {"number": number, "file": name, "verb": verb, "exit": done.exit_code, "problem": problem[:300]}


def _hurt(run: Path, name: str, draw: random.Random) -> None:
    """Change one file, or put something else in its place; often its hash agrees."""
    path, kind = run / name, draw.random()
    data = path.read_bytes()
    path.unlink()
    if kind < 0.04:
        os.mkfifo(path)
    elif kind < 0.08:
        path.mkdir()
    elif kind < 0.12:
        path.symlink_to("/dev/zero")
    elif kind > 0.16:
        path.write_bytes(mutant(data, name, draw))
    if path.is_file() and draw.random() < 0.6:
        if name.startswith("checkpoints/") and name.endswith("state.json"):
            rehash(path.parent)
        elif name != "manifest.json":
            reseal(run, name)


def _problem(done: Result, verb: str, run: Path, finished: Path) -> str:
    """What is wrong with how a verb ended; "" if nothing."""
    if done.exit_code not in (0, 2, 3, 4, 5, 6) or "Traceback" in done.output:
        return (done.output.strip().splitlines() or [repr(done.exception)])[-1]
    if done.exit_code and "error: " not in done.output:
        return f"exit code {done.exit_code} without a line"
    if verb == "resume" and done.exit_code == 0:
        sealed = json.loads((run / "manifest.json").read_bytes())["files"]
        kept = [name for name in KEPT if name in sealed or name != "metrics.jsonl"]  # a damaged log is set aside
        changed = [name for name in kept if (run / name).read_bytes() != (finished / name).read_bytes()]
        return f"sealed although changed: {', '.join(changed)}" if changed else ""
    return ""
