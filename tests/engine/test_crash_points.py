"""A process that dies, or a machine that loses power, at every single point of a save: what is left can be gone on from.

`kill -9` at random moments hits a save only as often as saves are slow, and never tests fsync: the system's own memory
survives the process. Here the process ends at each of its calls to the file system in turn, and a model of the disk keeps
only what was fsynced.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import ResourceError
from sightline.storage.files import TEMPORARY, make_folder, replace_file
from sightline.storage.folders import commit_folder, newest_good, retain, sweep
from sightline.storage.locks import locked
from sightline.storage.logs import Log

CALLS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
STEPS = 5


def save(run: Path, step: int, log: Log, committed: Callable[[int], object]) -> None:
    """One step of a training, as far as the disk is concerned: a line, a checkpoint, retention, a derived file."""
    log.append(f"line {step}\n")
    files = {"a.bin": bytes([step]) * 1000, "b.json": b"{}"}
    commit_folder(run / "checkpoints" / f"step-{step:08d}", files, {"step": step, "log": log.mark()})
    committed(step)
    retain(run / "checkpoints")
    replace_file(run / "history.csv", f"{step}".encode())


def go_on(run: Path, until: int = STEPS, committed: Callable[[int], object] = lambda step: None) -> None:
    """Begin, or resume from what is there, and save the rest of the steps."""
    make_folder(run / "checkpoints")
    for folder in (run, run / "checkpoints"):
        sweep(folder)
    found, log = newest_good(run / "checkpoints"), Log(run / "metrics.jsonl")
    if found.folder is None:
        log.restart()
    else:
        assert log.cut(found.manifest["log"]) is None, "the log is not what the checkpoint saw"
        retain(run / "checkpoints")
        replace_file(run / "history.csv", f"{found.manifest['step']}".encode())
    for step in range(found.manifest.get("step", 0) + 1, until + 1):
        save(run, step, log, committed)


def content(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}


def in_a_child(work: Callable[[], Any]) -> int:
    """The exit status of a process of its own."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException:  # the child must not go on as a second pytest
        os._exit(1)
    os._exit(0)


def dying(run: Path, after: int) -> None:
    """Go on with a run and die at the call with that number."""
    calls = iter(range(after))

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CALLS and str(run) in str(arguments[0]) and next(calls, None) is None:
            os._exit(9)

    sys.addaudithook(hear)
    go_on(run)


@pytest.fixture
def untouched(tmp_path: Path) -> dict[str, bytes]:
    go_on(tmp_path / "untouched")
    return content(tmp_path / "untouched")


def test_every_crash_point_of_a_save_is_survived(tmp_path: Path, untouched: dict[str, bytes]) -> None:
    begun = tmp_path / "begun"
    go_on(begun, until=3)
    points = 0
    while True:
        run = tmp_path / f"crash-{points}"
        for name, data in content(begun).items():
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).write_bytes(data)
        code = in_a_child(lambda run=run, after=points: dying(run, after))  # type: ignore[misc]
        assert code in (0, 9)
        if code == 0:
            break
        assert newest_good(run / "checkpoints").manifest["step"] >= 3
        go_on(run)
        assert content(run) == untouched, f"after a crash at call {points}"
        assert not list(run.rglob(f"{TEMPORARY}*"))
        points += 1
    assert points > 40  # two saves: it did die in between


class Disk:
    """What a disk holds after a power cut: of each file and folder what it held when it was last fsynced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[int, bytes] = {}
        self.folders: dict[int, dict[str, int]] = {}
        self.kind: dict[int, bool] = {}  # inode → is it a folder
        self.open: dict[int, int] = {}  # a number that is still open is not given to another file
        self._keep(root)

    def _keep(self, path: Path) -> None:
        inode = path.stat().st_ino
        self.kind[inode] = path.is_dir()
        if path.is_dir():
            self.folders[inode] = {entry.name: entry.inode() for entry in os.scandir(path)}
            for entry in os.scandir(path):
                self.kind[entry.inode()] = entry.is_dir()
                if entry.inode() not in self.open:
                    self.open[entry.inode()] = os.open(entry.path, os.O_RDONLY)
        else:
            self.files[inode] = path.read_bytes()

    def fsync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if self.root in (path, *path.parents):
            self._keep(path)

    def after_a_cut(self, to: Path, inode: int | None = None) -> Path:
        """The folder as it is found again; a file whose name was kept and whose content was not is empty."""
        to.mkdir(parents=True)
        for name, below in self.folders.get(inode or self.root.stat().st_ino, {}).items():
            if self.kind[below]:
                self.after_a_cut(to / name, below)
            else:
                (to / name).write_bytes(self.files.get(below, b""))
        return to


def cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str = "") -> dict[int, Path]:
    """Step → the run as a cut would leave it right after that step's commit. `lost`: fsyncs of this kind do not happen."""
    root = tmp_path / "disk"
    root.mkdir()
    disk = Disk(root)

    def fsync(descriptor: int) -> None:
        folder = Path(f"/proc/self/fd/{descriptor}").is_dir()
        if lost != ("folder" if folder else "file"):
            disk.fsync(descriptor)

    found: dict[int, Path] = {}

    def cut(step: int) -> None:
        found[step] = disk.after_a_cut(tmp_path / f"found-{step}") / "runs" / "first"

    with monkeypatch.context() as modelled:
        modelled.setattr(os, "fsync", fsync)
        go_on(root / "runs" / "first", committed=cut)
    for descriptor in disk.open.values():
        os.close(descriptor)
    return found


def test_what_was_committed_is_there_after_a_power_cut(
    tmp_path: Path, untouched: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step, found in cuts(tmp_path, monkeypatch).items():
        assert newest_good(found / "checkpoints").manifest["step"] == step
        go_on(found)
        assert content(found) == untouched


@pytest.mark.parametrize("lost", ["file", "folder"])
def test_the_model_of_the_disk_notices_a_missing_fsync(
    lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = cuts(tmp_path, monkeypatch, lost)
    assert [newest_good(run / "checkpoints").folder for run in found.values()] == [None] * STEPS


def contend(folder: Path, begin: int, leave: int) -> None:
    """Try for the lock at once with the other, hold it until both have tried."""
    os.read(begin, 1)
    try:
        with locked(folder):
            os.mkdir(folder / f"won-{os.getpid()}")
            os.read(leave, 1)
    except ResourceError:
        os.mkdir(folder / f"lost-{os.getpid()}")


@pytest.mark.parametrize("race", range(50))
def test_two_processes_never_hold_one_folder(race: int, tmp_path: Path) -> None:
    begin, leave = os.pipe(), os.pipe()
    children = []
    for _ in range(2):
        if not (child := os.fork()):
            try:
                os.close(begin[1])
                os.close(leave[1])
                contend(tmp_path, begin[0], leave[0])
            except BaseException:  # the child must not go on as a second pytest
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(begin[1])  # reading ends for both at once
    until = time.monotonic() + 20
    while len(list(tmp_path.glob("*-*"))) < 2 and time.monotonic() < until:
        time.sleep(0.001)
    os.close(leave[1])
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    os.close(begin[0])
    os.close(leave[0])
    assert sorted(p.name.split("-")[0] for p in tmp_path.glob("*-*")) == ["lost", "won"]
