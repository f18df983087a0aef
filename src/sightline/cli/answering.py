"""How a verb's answer, or its failure, reaches the person or the program that asked."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sightline.errors import SightlineError
from sightline.runs.console import Console
from sightline.storage.text import json_text, shown


@dataclass(frozen=True)
class Answer:
    """`data` for --json; `text` makes lines of it for a person; `exit` other than 0 where some of it failed."""

    data: dict[str, Any]
    text: Callable[[dict[str, Any]], str]
    exit: int = 0


def answer(work: Callable[[Console], Answer], *, json: bool, level: int) -> None:
    """Run a verb and end the process with its exit code. A SightlineError is one line and a hint; anything else is a
    bug: the traceback goes to the run's log, or to stderr where there is none yet."""
    console = Console(level)
    try:
        given = work(console)
        said = json_text(given.data, indent=None) if json else given.text(given.data)
    except SightlineError as error:
        failed(error.code, error.exit_code, error.message, error.hint, json=json)
    except KeyboardInterrupt:
        failed("stopped", 130, "stopped", "", json=json)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if _is_about_memory(error):
            hint = "a smaller fit.batch or input.size, or data.cache=off, needs less"
            failed("resource", 6, "not enough memory", hint, json=json)
        # a bug of ours: say so, keep the evidence, never a traceback in the user's face
        trace = traceback.format_exc()
        if console.log is not None:
            console.log.append(trace)
            where = f"the traceback is in {console.log.path}"
        else:
            print(trace, file=sys.stderr)
            where = "the traceback is above"
        failed("bug", 1, f"{type(error).__name__}: {error}", f"this is a bug in sightline; {where}", json=json)
    else:
        print(said, flush=True)
        sys.exit(given.exit)


def _is_about_memory(error: Exception) -> bool:
    """torch says it as a RuntimeError: on a CPU by its allocator's name, on a GPU by a class of its own."""
    told = isinstance(error, RuntimeError) and "allocate memory" in str(error)
    return told or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def failed(code: str, exit: int, message: str, hint: str, *, json: bool) -> None:
    print(shown(f"error: {message}"), file=sys.stderr)
    if hint:
        print(shown(f"  hint: {hint}"), file=sys.stderr)
    if json:
        print(
            json_text({"error": {"code": code, "exit": exit, "message": message, "hint": hint}}, indent=None),
            flush=True,
        )
    sys.exit(exit)
