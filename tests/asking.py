"""Asking the command line, and small folders of pictures to ask it about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from sightline.cli.main import app


def called(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the JSON on stdout, and stderr."""
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout.strip().splitlines()[-1]), done.stderr


def refused(exit_code: int, *arguments: str) -> str:
    """The message and hint of a refusal with that exit code; stdout and stderr agree."""
    code, found, stderr = called(*arguments)
    error = found["error"]
    assert (code, error["exit"]) == (exit_code, exit_code), error
    assert "\n" not in error["message"]
    assert stderr.strip().splitlines()[-1 - bool(error["hint"])].startswith("error: ")
    return f"{error['message']} | {error['hint']}"


def image(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 255, (10, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def folder(root: Path, classes: dict[str, int], first: int = 0) -> str:
    """One folder a class; pictures are numbered from `first`, equal numbers are equal pixels."""
    number = first
    for name, count in classes.items():
        for i in range(count):
            image(root / name / f"{i}.png", number := number + 1)
    return str(root)
