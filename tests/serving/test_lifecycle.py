"""From the first line to the exit code: readiness, overload, a killed worker, a stop under load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sightline.errors import UsageError
from sightline.verbs.serve import server_command

from .clients import SOURCE, Response, Served, picture, served, started, until
from .small_exports import classifier

IMAGE = picture(5)


class Load:
    """Clients that ask again and again, each on new connections, until `stop`; what they were answered."""

    def __init__(self, server: Served, clients: int) -> None:
        self.server = server
        self.answers: list[Response] = []
        self.lost: list[BaseException] = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self) -> None:
        while not self.stopping.is_set():
            try:
                self.answers.append(self.server.predict(IMAGE))
            except ConnectionRefusedError:
                return
            except (OSError, EOFError) as error:
                self.lost.append(error)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a client waits forever"


def test_the_verb_serves_an_export_and_becomes_the_server(folder: Path) -> None:
    with started([sys.executable, "-m", "sightline", "serve", str(folder)]) as server:
        assert server.facts["classes"]
        assert server.predict(IMAGE).status == 200
        assert b"sightline.serving" in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
        assert server.terminate() == 0


def test_a_killed_worker_is_replaced(folder: Path) -> None:
    with served(folder, "--threads=1") as server:
        load, first = Load(server, 4), server.worker
        until(lambda: len(load.answers) > 20, 20)
        os.kill(first, signal.SIGKILL)
        until(lambda: server.worker not in (0, first), 20)
        until(server.ready, 30)
        load.stop()
        assert load.lost == []
        assert {answer.status for answer in load.answers} <= {200, 503}
        assert all("retry-after" in answer.headers for answer in load.answers if answer.status == 503)
        assert any(answer.status == 503 and answer.code in ("worker-lost", "not-ready") for answer in load.answers)
        assert server.predict(IMAGE).status == 200


def test_a_stop_answers_what_was_accepted(folder: Path) -> None:
    with served(folder, "--threads=1") as server:
        load = Load(server, 4)
        until(lambda: len(load.answers) > 20, 20)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.ask("GET", "/readyz").status == 503, 2)
        assert server.process.wait(10) == 0
        load.stop()
        assert {answer.status for answer in load.answers} == {200}
        # a connection that was still in the system's queue when the listening ended was never accepted
        assert all(isinstance(error, ConnectionError) for error in load.lost)


def test_overload_is_refused_at_once(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "slow", turns=30)
    with served(folder, "--threads=1", "--queue=16") as server:
        load = Load(server, 40)
        until(lambda: any(answer.status == 503 for answer in load.answers), 30)
        load.stop()
        assert load.lost == []
        refused = [answer for answer in load.answers if answer.status != 200]
        assert {answer.status for answer in refused} == {503}
        assert {answer.code for answer in refused} == {"overloaded"}
        assert all(answer.headers["retry-after"] == "1" for answer in refused)
        assert server.predict(IMAGE).status == 200


def test_a_model_that_cannot_be_opened_ends_the_server(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folder.iterdir():
        data = file.read_bytes()
        (broken / file.name).write_bytes(data if file.suffix != ".onnx" else data[:-1] + b"x")
    for place, code, words in ((broken, 3, "model.onnx"), (tmp_path, 2, "not an exported folder")):
        command = [sys.executable, "-m", "sightline.serving", str(place), "--port=0"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(SOURCE)}
        )
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_that_is_taken(server: Served, folder: Path) -> None:
    command = [sys.executable, "-m", "sightline.serving", str(folder), f"--port={server.port}"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(SOURCE)}
    )
    assert done.returncode == 6
    assert "cannot listen" in done.stderr


def test_wrong_options_are_named_before_anything_is_exported(folder: Path) -> None:
    for options in ({"port": 70000}, {"batch": 0}, {"queue": 1}, {"threads": -1}, {"host": "0.0.0.0"}):
        with pytest.raises(UsageError):
            server_command(folder, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_is_exported_and_then_served_without_torch(tmp_path: Path) -> None:
    from tests.exports.tiny_runs import tiny_run

    from .clients import maps

    run = tiny_run(tmp_path)
    for _ in range(2):  # the second time from the export that is there
        began = time.monotonic()
        with started([sys.executable, "-m", "sightline", "serve", str(run.folder)]) as server:
            assert "libtorch" not in maps(server.process.pid) + maps(server.worker)
            assert server.predict(IMAGE).status == 200
            assert server.terminate() == 0
    assert time.monotonic() - began < 20
    facts = run.folder / "exports" / "onnx-fp32" / "export.json"
    assert facts.is_file()
