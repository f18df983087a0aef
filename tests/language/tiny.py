"""Tiny data of each kind of texts, and a training that dies: python -m tests.language.tiny DATA OUT N KEY…"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import sightline
from sightline.kinds import KINDS
from sightline.tasks import language
from sightline.tasks.task import Loss, Task

SMALL = ("fit.device=cpu", "fit.precision=fp32", "fit.threads=1")
SHORT = ("fit.batch=8", "fit.epochs=2")


def write_pairs(folder: Path, n: int = 24) -> Path:
    """Numbers in words and in digits: n training pairs, a third as many for val and test."""
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    folder.mkdir(parents=True, exist_ok=True)
    at = 0
    for split, k in (("train", n), ("val", n // 3), ("test", n // 3)):
        rows = [f"{words[i // 10 % 10]} {words[i % 10]}\t{i // 10 % 10}{i % 10}\n" for i in range(at, at + k)]
        (folder / f"{split}.tsv").write_text("source\ttarget\n" + "".join(rows))
        at += k
    return folder


def train(data: Path, out: Path, *keys: str, **more: Any) -> sightline.Run:
    return sightline.train(data, (*SMALL, *keys), out=out, **more)


def killed(data: Path, out: Path, at: int, *keys: str) -> int:
    """The exit status of a training in another process that is killed in its loss number `at`, commits after every step."""
    command = [sys.executable, "-m", "tests.language.tiny", str(data), str(out), str(at)]
    command += [*SMALL, "fit.commit_every=1", *keys]
    return subprocess.run(command, capture_output=True, timeout=300).returncode


def weights(run: sightline.Run) -> list[bytes]:
    return [path.read_bytes() for path in sorted((run.folder / "model").glob("*.safetensors"))]


def _dying(at: int) -> None:
    """Kill the process in the `at`-th loss of any task of `tasks.language`."""
    computed = 0
    for cls in _tasks():
        original = cls.loss

        def mortal(self: Task, batch: Any, turn: str = "model", original: Any = original) -> Loss:
            nonlocal computed
            computed += 1
            if computed == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(self, batch, turn)

        cls.loss = mortal  # type: ignore[method-assign]


def _tasks() -> list[type[Task]]:
    assert KINDS  # which imports them
    return [cls for cls in Task.__subclasses__() if cls.__module__.startswith(language.__name__)]


if __name__ == "__main__":
    _dying(int(sys.argv[3]))
    sightline.train(sys.argv[1], tuple(sys.argv[4:]), out=sys.argv[2])
