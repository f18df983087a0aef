"""Printing the result of a verb, or its error, for people and for programs."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sightline.errors import SightlineError
from sightline.runs.console import Console
from sightline.storage.text import json_text, printable


@dataclass(frozen=True)
class Answer:
    """`data` is printed with --json, else `text(data)`; `exit` is the exit code."""

    data: dict[str, Any]
    text: Callable[[dict[str, Any]], str]
    exit: int = 0


def answer(work: Callable[[Console], Answer], *, json: bool, level: int) -> None:
    """Run a verb and end the process with its exit code. A SightlineError is printed as one line and a hint.
    Anything else is a bug: its traceback goes to the run's log, or to stderr if there is none yet."""
    console = Console(level)
    try:
        result = work(console)
        output = json_text(result.data, indent=None) if json else result.text(result.data)
    except SightlineError as error:
        failed(error.code, error.exit_code, error.message, error.hint, json=json)
    except KeyboardInterrupt:
        failed("stopped", 130, "stopped", "", json=json)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if _is_about_memory(error):
            hint = "use a smaller fit.batch or input.size, or data.cache=off"
            failed("resource", 6, "not enough memory", hint, json=json)
        # a bug: say so, and keep the traceback
        trace = traceback.format_exc()
        if console.log is not None:
            console.log.append(trace)
            where = f"the traceback is in {console.log.path}"
        else:
            print(trace, file=sys.stderr)
            where = "the traceback is above"
        failed("bug", 1, f"{type(error).__name__}: {error}", f"this is a bug in sightline; {where}", json=json)
    else:
        print(output, flush=True)
        sys.exit(result.exit)


def _is_about_memory(error: Exception) -> bool:
    """torch raises a RuntimeError: on a CPU it names the allocator, on a GPU it has its own class."""
    of_allocator = isinstance(error, RuntimeError) and "allocate memory" in str(error)
    return of_allocator or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def failed(code: str, exit: int, message: str, hint: str, *, json: bool) -> None:
    print(printable(f"error: {message}"), file=sys.stderr)
    if hint:
        print(printable(f"  hint: {hint}"), file=sys.stderr)
    if json:
        print(
            json_text({"error": {"code": code, "exit": exit, "message": message, "hint": hint}}, indent=None),
            flush=True,
        )
    sys.exit(exit)
