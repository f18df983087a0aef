"""Printing the result of a verb, or its error, for people and for programs."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from sightline.engine.signals import Terminated
from sightline.errors import SightlineError
from sightline.runs.console import Console
from sightline.runs.stream import STDERR
from sightline.storage.reading import reason_of
from sightline.storage.schema import brief_text
from sightline.storage.text import json_text, printable

from .process import leave


@dataclass(frozen=True)
class Answer:
    """`data` is printed with --json, else `text(data)`; `exit` is the exit code. `parts`, where given, are printed instead of
    either: a long answer that is not held as a whole."""

    data: dict[str, Any]
    text: Callable[[dict[str, Any]], str]
    exit: int = 0
    parts: Iterable[str] | None = None


def answer(work: Callable[[Console], Answer], *, json: bool, level: int) -> None:
    """Run a verb and end the process with its exit code. A SightlineError is printed as one line and a hint.
    Anything else is a bug: its traceback goes to the run's log, or to stderr if there is none yet."""
    console = Console(level)
    try:
        result = work(console)
        whole = json_text(result.data, indent=None) if json else result.text(result.data)
        output = (whole, "\n") if result.parts is None else result.parts
    except SightlineError as error:
        failed(error.code, error.exit_code, error.message, error.hint, json=json)
    except KeyboardInterrupt as error:  # its subclass `Terminated` has the code of its own signal
        failed("stopped", getattr(error, "exit_code", 130), "stopped", "", json=json)
    except Exception as error:
        if Terminated.raised:
            failed("stopped", Terminated.exit_code, "stopped", "", json=json)
        if _is_about_memory(error):
            hint = "use a smaller fit.batch or input.size, or data.cache=off"
            failed("resource", 6, "not enough memory", hint, json=json)
        if isinstance(error, OSError) and error.filename is not None:
            _failed_file(error, json=json)
        # a bug: say so, and keep the traceback
        trace = traceback.format_exc()
        if console.log is not None:
            console.log.append(trace)
            where = f"the traceback is in {console.log.path}"
        else:
            print(trace, file=STDERR)
            where = "the traceback is above"
        failed("bug", 1, f"{type(error).__name__}: {error}", f"this is a bug in sightline; {where}", json=json)
    else:
        if problem := print_parts(output):
            print(f"error: the answer could not be written to stdout: {problem}", file=STDERR)
            leave(6)
        leave(result.exit)


def print_parts(parts: Iterable[str]) -> str:
    """Print to stdout; returns the reason if it does not take the text."""
    try:
        if sys.stdout is None:
            return "it is closed"
        for part in parts:
            sys.stdout.write(part)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return reason_of(error)
    return ""


_LONGEST = 2_000  # characters of an error
_NAMED = {errno.ENAMETOOLONG, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.EACCES}


def _failed_file(error: OSError, *, json: bool) -> NoReturn:
    """A file or folder that the system refuses: the path is at fault, or the machine."""
    name = brief_text(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else str(error.filename)
    named = error.errno in _NAMED
    hint = "check the path" if named else "check the disk and its permissions"
    failed("usage" if named else "resource", 2 if named else 6, f"{name}: {reason_of(error)}", hint, json=json)


def _is_about_memory(error: Exception) -> bool:
    """torch raises a RuntimeError: on a CPU it names the allocator, on a GPU it has its own class."""
    of_allocator = isinstance(error, RuntimeError) and "allocate memory" in str(error)
    return of_allocator or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def failed(code: str, exit: int, message: str, hint: str, *, json: bool) -> NoReturn:
    """Print an error and end the process. Whatever was typed or read is shown in part only."""
    message, hint = (text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in (message, hint))
    print(printable(f"error: {message}"), file=STDERR)
    if hint:
        print(printable(f"  hint: {hint}"), file=STDERR)
    if json:
        error = {"code": code, "exit": exit, "message": message, "hint": hint}
        print_parts((json_text({"error": error}, indent=None), "\n"))
    leave(exit)
