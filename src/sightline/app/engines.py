"""The workers of the models that the page uses: at most two, each exported and started when it is first needed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sightline.serving.engine import Engine, Unavailable
from sightline.serving.metrics import Metrics
from sightline.serving.settings import Settings

from .library import Entry

MOST = 2  # models in memory
_LONGEST = 1800.0  # seconds of an export


class Preparation:
    """One model on its way: exported if it is a run, then loaded by a worker. `error` says why it cannot be used."""

    def __init__(self, entry: Entry, settings: Settings) -> None:
        self.entry, self.settings = entry, settings
        self.engine: Engine | None = None
        self.error: str | None = None
        self._task = asyncio.create_task(self._prepare())

    @property
    def state(self) -> str:
        """exporting, loading, ready or failed."""
        failure = self.engine.failure if self.engine is not None else None
        if self.error is not None or failure is not None:
            return "failed"
        if self.engine is None:
            return "exporting"
        return "ready" if self.engine.ready else "loading"

    def to_json(self) -> dict[str, Any]:
        failure = self.engine.failure if self.engine is not None else None
        values: dict[str, Any] = {"state": self.state, "error": self.error or (failure and failure["message"])}
        return values | (dict(self.engine.model) if self.engine is not None and self.state == "ready" else {})

    async def _prepare(self) -> None:
        folder: str | None = str(self.entry.folder)
        if not self.entry.exported:
            folder = await self._export()
        if folder is not None:
            self.engine = Engine(replace(self.settings, folder=folder))
            await self.engine.start()

    async def _export(self) -> str | None:
        """In a process of its own, for exporting needs torch."""
        command = [sys.executable, "-P", "-m", "sightline.app.preparing", str(self.entry.folder.absolute())]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), _LONGEST)
        except BaseException:
            process.kill()
            raise
        lines = out.decode(errors="replace").strip().splitlines()
        if process.returncode == 0 and lines:
            return lines[-1]
        reasons = err.decode(errors="replace").strip().splitlines()
        self.error = reasons[-1] if reasons else f"the export ended with code {process.returncode}"
        return None

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self.engine is not None:
            await self.engine.stop()


class Engines:
    """What a server needs to know of its model, for several: the keeper of `Preparation`s by the names of their runs."""

    def __init__(self, settings: Settings, on_change: Callable[[], None] = lambda: None) -> None:
        self.settings, self.on_change = settings, on_change
        self.metrics = Metrics()
        self.model: dict[str, Any] = {}
        self.failure: dict[str, Any] | None = None
        self.held = 0
        self.ready = False
        self._draining = False
        self._by_name: dict[str, Preparation] = {}

    @property
    def draining(self) -> bool:
        return self._draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._draining, self.ready = value, False
        for one in self._by_name.values():
            if one.engine is not None:
                one.engine.draining = value

    def gauges(self) -> dict[str, float]:
        return {"ready": self.ready, "models": len(self._by_name)}

    def require_room(self, images: int = 1, size: int = 0) -> None:
        """Each engine guards its own queue."""

    def find(self, name: str) -> Preparation | None:
        return self._by_name.get(name)

    async def open(self, entry: Entry) -> Preparation:
        """The run's model, prepared from now on if it is not yet; the one that was used longest ago gives way."""
        one = self._by_name.pop(entry.name, None)
        if one is not None and one.state == "failed":
            await one.stop()
            one = None
        while one is None and len(self._by_name) >= MOST:
            await self._by_name.pop(next(iter(self._by_name))).stop()
        self._by_name[entry.name] = one = one or Preparation(entry, self.settings)
        return one

    def ready_engine(self, name: str) -> Engine:
        """Raises `Unavailable` while the model is not ready."""
        one = self._by_name.get(name)
        if one is None or one.engine is None or not one.engine.ready:
            raise Unavailable("not-ready", "the model is being prepared")
        return one.engine

    async def start(self) -> None:
        self.ready = True
        self.on_change()

    async def stop(self) -> None:
        for one in self._by_name.values():
            await one.stop()
