"""Who may ask, in sixty cells; and a server that would be open to others does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.errors import UsageError
from sightline.serving.settings import Settings, is_loopback, read_token

from .access_matrix import BINDS, TOKEN, cells, headers
from .clients import Served, picture, served

IMAGE = picture(3)


def check_cells(bind: str, server: Served) -> int:
    """Ask all cells of one bind; how many there were."""
    asked = 0
    for cell in (cell for cell in cells() if cell.bind == bind):
        method = server.predict(IMAGE, **headers(cell, server.port)) if cell.method == "POST" else None
        response = method or server.ask("GET", "/", **headers(cell, server.port))
        assert response.status == cell.status, cell
        assert "access-control-allow-origin" not in response.headers
        asked += 1
    return asked


def test_sixty_cells(server: Served, folder: Path) -> None:
    assert len(list(cells())) == 60
    asked = check_cells(BINDS[0], server)
    with served(folder, "--threads=1", token=TOKEN) as second:
        asked += check_cells(BINDS[1], second)
        command = Path(f"/proc/{second.process.pid}/cmdline").read_text()
        assert TOKEN not in command
        assert TOKEN not in Path(f"/proc/{second.worker}/environ").read_text()
        for path in ("/healthz", "/readyz"):
            assert second.ask("GET", path).status == 200  # probes have no token
        for path in ("/metrics", "/openapi.json", "/docs", "/nothing"):
            assert second.ask("GET", path).status == 401, path
        for wrong in ("Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} x", "Bearer ÿ"):
            assert second.ask("GET", "/", Authorization=wrong).status == 401
        assert second.ask("GET", "/", Authorization=f"bearer {TOKEN}").status == 200
    with served(folder, "--threads=1", token=TOKEN, host="0.0.0.0") as third:
        asked += check_cells(BINDS[2], third)
    assert asked == 60


def test_methods_that_read_nothing_are_all_that_needs_no_origin(server: Served) -> None:
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert server.ask(method, "/", Origin="null").status == 403
        assert server.ask(method, "/").status == 405
    assert server.ask("OPTIONS", "/predict", Origin="https://evil.example").status == 405  # no preflight is granted
    assert server.raw(b"GET / HTTP/1.1\r\n\r\n").status == 400
    assert server.raw(b"GET / HTTP/1.0\r\n\r\n").status == 421
    assert server.raw(f"GET / HTTP/1.1\r\nHost: {server.name}\r\nHost: {server.name}\r\n\r\n".encode()).status == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "localhost.example.org", ""])
def test_an_open_address_needs_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="no token"):
        Settings("x", host)
    assert Settings("x", host, token=TOKEN)
    assert not is_loopback(host)


def test_the_command_refuses_an_open_address(folder: Path) -> None:
    command = [sys.executable, "-m", "sightline.serving", str(folder), "--host", "0.0.0.0"]
    environment = {key: value for key, value in os.environ.items() if key != "SIGHTLINE_TOKEN"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert "no token" in done.stderr
    assert "Traceback" not in done.stderr


def test_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file) == TOKEN
    monkeypatch.setenv("SIGHTLINE_TOKEN", "from-the-environment")
    assert read_token(None) == "from-the-environment"
    assert read_token(file) == TOKEN
    assert TOKEN not in repr(Settings("x", token=TOKEN))
    for wrong in ("short", "two words of enough length", "ü" * 20, "", "x" * 20 + "\n" + "y" * 20):
        with pytest.raises(UsageError, match="token"):
            Settings("x", token=wrong)
    for missing in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_token(missing)
