"""Which process works on which part of a study: locks that die with their process, as that of a run does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sightline.errors import ResourceError
from sightline.storage.files import make_folder
from sightline.storage.locks import locked

FOLDER = ".claims"
PATIENCE = 60.0  # seconds; what is done under the lock of all takes milliseconds


class Claims:
    """The claims of a study's folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        make_folder(self.folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time; the others wait."""
        with ExitStack() as stack:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    stack.enter_context(locked(self.folder))
                    break
                except ResourceError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.05)
            yield

    def take(self, part: str, stack: ExitStack) -> bool:
        """Claim a part until `stack` is closed; False where another process has it."""
        make_folder(self.folder / part)
        try:
            stack.enter_context(locked(self.folder / part))
        except ResourceError:
            return False
        return True

    def known(self, part: str) -> bool:
        """Whether a process on this folder ever claimed it."""
        return (self.folder / part).is_dir()
