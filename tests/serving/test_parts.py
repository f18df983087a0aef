"""Parts without a process: the application with routes of others, the measure of the rate, the choice of a row."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.saved import Preprocessing
from sightline.runtime.folder import Exported
from sightline.runtime.model import Model
from sightline.serving import Settings, create_app
from sightline.serving import engine as engine_room
from sightline.serving.engine import Engine, Rate, Unavailable
from sightline.serving.worker import choice_of

TOKEN = "a-token-of-twenty-two-chars"
PREPROCESSING = Preprocessing(Geometry(8, 8), (0.0,) * 3, (1.0,) * 3)
BOXES = [{"label": "a", "score": 0.9}, {"label": "b", "score": 0.8}, {"label": "a", "score": 0.3}]
LABELS = {"labels": {"a": 0.9}, "top": [["a", 0.9], ["b", 0.2]], "threshold": 0.5}


def get(app: Any, path: str, **headers: str) -> tuple[int, bytes]:
    """Status and body of a GET, without a socket; the worker is not started."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    fields = {"host": "127.0.0.1:8000", **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "server": ("127.0.0.1", 8000), "client": None,
        "headers": [(key.encode(), value.encode()) for key, value in fields.items()],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_routes_of_others_stand_before_ours_and_behind_the_gate(tmp_path: Path) -> None:
    router = APIRouter()
    for path in ("/", "/page", "/other"):
        router.add_api_route(path, lambda path=path: f"mine: {path}")
    app = create_app(Settings(tmp_path, token=TOKEN), routers=[router], open_paths={"/page"})
    assert get(app, "/page") == (200, b'"mine: /page"')
    assert get(app, "/other")[0] == 401
    assert get(app, "/", authorization=f"Bearer {TOKEN}") == (200, b'"mine: /"')
    assert get(app, "/page", host="rebound.example:8000")[0] == 421
    assert get(app, "/healthz")[0] == 200
    assert get(app, "/readyz")[0] == 503
    assert "/page" in app.state.engine.metrics.paths


def test_as_many_may_wait_as_are_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(engine_room.time, "monotonic", lambda: now)
    rate = Rate()
    assert rate.in_time(8, 64) == 64  # nothing is known yet
    for _ in range(100):  # one at a time, 10 ms each, with pauses that do not count
        rate.arrived(0)
        now += 0.01
        rate.left(0)
        now += 1.0
    assert rate.rate == pytest.approx(100)
    assert rate.in_time(8, 64) == 15
    assert rate.in_time(20, 64) == 20
    rate.arrived(0)
    for _ in range(5000):  # a queue that is never empty, 4 ms each
        now += 0.004
        rate.left(5)
    assert rate.rate == pytest.approx(250, rel=0.01)
    assert rate.in_time(8, 64) == 37


@pytest.mark.parametrize(
    ("decoding", "row", "asked", "expected"),
    [
        ("regions", {"boxes": BOXES}, {}, {"boxes": BOXES[:2]}),
        ("regions", {"boxes": BOXES}, {"conf": 0.0}, {"boxes": BOXES}),
        ("regions", {"boxes": BOXES}, {"classes": ["a"], "conf": 0.3}, {"boxes": [BOXES[0], BOXES[2]]}),
        ("pixel scores", {"shares": {"a": 0.5, "b": 0.5}}, {"classes": ["b"]}, {"shares": {"b": 0.5}}),
        ("label scores", LABELS, {}, LABELS),
        ("label scores", LABELS, {"conf": 0.1}, LABELS | {"labels": {"a": 0.9, "b": 0.2}}),
        ("label scores", LABELS, {"classes": ["b"]}, LABELS | {"labels": {}, "top": [["b", 0.2]]}),
        ("numbers", {"values": {"a": 1.0, "b": 2.0}}, {"classes": ["b"]}, {"values": {"b": 2.0}}),
    ],
)
def test_a_request_chooses_of_every_kind(decoding: str, row: Any, asked: dict[str, Any], expected: Any) -> None:
    facts = {"classes": ["a", "b"], "decoding": {"name": decoding, "settings": {}}, "threshold": 0.5}
    model = Model(Exported(Path("export"), facts, PREPROCESSING, {}), {})
    assert model.choose(row, choice_of(asked)) == expected


def test_an_engine_without_a_worker_takes_nothing(tmp_path: Path) -> None:
    engine = Engine(Settings(tmp_path))
    with pytest.raises(Unavailable) as caught:
        engine.require_room()
    assert caught.value.code == "not-ready"


def test_the_processes_load_nothing_that_trains() -> None:
    """Nor what the command line needs: the packages that docs/serving.md installs into a container are enough."""
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "safetensors", "sklearn", "pyarrow", "yaml", "typer", "rich", "scipy"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import sightline.serving.__main__, sightline.serving.server, sightline.serving.worker
print(*sorted({m.split(".")[1] for m in sys.modules if m.startswith("sightline.")}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rooms = set(done.stdout.split())
    assert rooms == {"decoding", "errors", "preprocessing", "runtime", "serving", "storage", "structures", "version"}
