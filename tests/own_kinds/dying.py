"""Death in the middle of a step."""

from __future__ import annotations

import os
import signal

computed = 0


def maybe_die() -> None:
    """Called at the beginning of every loss; kills the process at the one that SIGHTLINE_TEST_KILL names."""
    global computed
    computed += 1
    if computed == int(os.environ.get("SIGHTLINE_TEST_KILL", "0")):
        os.kill(os.getpid(), signal.SIGKILL)
