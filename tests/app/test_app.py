"""The page for a folder of runs: what it lists, what it sends, and what it never sends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from sightline.app.engines import Engines
from sightline.app.library import Library
from sightline.app.routes import OPEN, model_routes, page_routes, run_routes
from sightline.errors import UsageError
from sightline.serving.app import guarded_app
from sightline.serving.settings import Settings
from tests.serving.clients import picture, until
from tests.serving.small_exports import CLASSES, classifier

PAGE = Path(sys.modules["sightline.app"].__file__ or "").parent / "page"
METRICS = {"train": None, "val": None, "test": {"loss": 0.5, "accuracy": 0.9, "auc": None}, "images": {"test": 40}}
TOKEN = "a-token-of-some-length"
SECRET = b"not for the page"


def write_run(folder: Path, **changes: Any) -> Path:
    """What the page reads of a run."""
    values: dict[str, Any] = {
        "run.json": {"format": 1, "status": "finished", "smoke": False, "task": "classification", "step": 12},
        "model/config.json": {"name": "lenet5", "parameters": 61706},
        "metrics.json": METRICS,
        "data.json": {"n": 50, "quarantined": 1, "counts": {}, "problems": ["a.png: broken"] * 300, "notes": []},
        **changes,
    }
    for name, value in values.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    (folder / "report.html").write_text("<!doctype html><title>report</title>")
    (folder / "samples").mkdir(exist_ok=True)
    (folder / "samples" / "batch.png").write_bytes(picture(1))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.html").write_bytes(SECRET)
    runs = tmp_path / "runs"
    write_run(runs / "<b>first")
    (runs / "exports").mkdir()
    classifier(runs / "exports" / "small")
    return runs


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    with opened(root) as client:
        yield client


def opened(root: Path, **options: Any) -> TestClient:
    library, engines = Library(root), Engines(Settings(folder=root, threads=1, **options))
    routers = (page_routes(), run_routes(library), model_routes(library, engines))
    return TestClient(guarded_app(engines, routers, open_paths=OPEN), base_url="http://127.0.0.1:8000")


def test_the_list_names_runs_and_exports_with_what_they_reached(client: TestClient) -> None:
    runs = {run["name"]: run for run in client.get("/runs").json()["runs"]}
    assert set(runs) == {"<b>first", "exports/small"}
    first = runs["<b>first"]
    assert (first["model"], first["parameters"], first["split"], first["images"]) == ("lenet5", 61706, "test", 40)
    assert first["metrics"] == {"loss": 0.5, "accuracy": 0.9}
    assert runs["exports/small"]["state"] == "export"


def test_one_run_comes_with_its_data_and_the_number_of_problems(client: TestClient) -> None:
    run = client.get("/run", params={"name": "<b>first"}).json()
    assert run["pictures"] == ["samples/batch.png"] and run["report"]
    assert len(run["data"]["problems"]) == 200 and run["data"]["problems_total"] == 300


@pytest.mark.parametrize(
    ("name", "value"),
    [("run.json", {"status": 3}), ("metrics.json", {"test": {"accuracy": "high"}}), ("model/config.json", [])],
)
def test_a_damaged_run_says_so_and_hides_no_other(root: Path, name: str, value: Any) -> None:
    write_run(root / "damaged", **{name: value})
    with opened(root) as client:
        runs = {run["name"]: run for run in client.get("/runs").json()["runs"]}
        assert len(runs) == 3 and name in runs["damaged"]["error"]
        assert client.get("/run", params={"name": "damaged"}).status_code == 200


def test_a_report_opens_by_its_ticket_only_and_runs_no_script(client: TestClient) -> None:
    name = "<b>first"
    ticket = client.get("/run", params={"name": name}).json()["ticket"]
    answer = client.get("/report", params={"name": name, "ticket": ticket})
    assert answer.status_code == 200 and "report" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox") and "default-src 'none'" in policy and "script-src" not in policy
    end, _, signature = ticket.partition(".")
    later, earlier = f"{int(end) + 1}.{signature}", f"{int(time.time()) - 1}.{signature}"
    for wrong in ("", "1.1", later, earlier, ticket + "0", "٣." + signature, f"{'9' * 30}.{signature}"):
        assert client.get("/report", params={"name": name, "ticket": wrong}).status_code == 403
    assert client.get("/report", params={"name": "exports/small", "ticket": ticket}).status_code == 403


def test_with_a_token_only_the_page_itself_is_open(root: Path) -> None:
    with opened(root, token=TOKEN) as client:
        for path in ("/", "/app.js", "/app.css", "/common.js", "/drawing.js", "/predicting.js"):
            assert client.get(path).status_code == 200
        for path in ("/runs", "/run?name=exports/small", "/picture?name=a&file=b", "/model?name=a", "/metrics"):
            assert client.get(path).status_code == 401
        assert client.post("/predictions?name=exports/small", content=picture(1)).status_code == 401
        assert client.get("/runs", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_nothing_outside_a_run_is_sent(root: Path) -> None:
    """Names and files are looked up, and links that leave the run are not followed."""
    os.symlink(root.parent, root / "linked")
    leaving = write_run(root / "leaving")
    (leaving / "report.html").unlink()
    os.symlink(root.parent / "secret.html", leaving / "report.html")
    os.symlink(root.parent / "secret.html", leaving / "samples" / "secret.png")
    steps = ["..", "../..", "/", "/etc", "%2e%2e", "..%2f", "....//", "..\\", "\x00", "leaving/..", "linked"]
    files = ["secret.html", "etc/passwd", "../secret.html", "samples/../../../secret.html", "samples/secret.png"]
    with opened(root) as client:
        assert "linked" not in {run["name"] for run in client.get("/runs").json()["runs"]}
        details = client.get("/run", params={"name": "leaving"}).json()
        assert not details["report"]
        for step in steps:
            for file in files:
                for request in (
                    ("/run", {"name": f"{step}/{file}"}),
                    ("/picture", {"name": "leaving", "file": f"{step}/{file}"}),
                    ("/picture", {"name": f"{step}", "file": file}),
                    ("/picture", {"name": "leaving", "file": file}),
                    ("/model", {"name": f"{step}/{file}"}),
                ):
                    answer = client.get(request[0], params=request[1])
                    assert SECRET not in answer.content and answer.status_code < 500
                answer = client.get("/" + quote(f"{step}/{file}", safe="%/."))
                assert SECRET not in answer.content and answer.status_code < 500


def test_an_export_predicts_once_it_is_ready(client: TestClient) -> None:
    name = {"name": "exports/small"}
    assert client.get("/model", params=name).json() == {"state": "none"}
    assert client.post("/predictions", params=name, content=picture(1)).status_code == 503
    client.post("/model", params=name)
    until(lambda: client.get("/model", params=name).json()["state"] == "ready", 60)
    assert tuple(client.get("/model", params=name).json()["classes"]) == CLASSES
    answer = client.post("/predictions", params=name, content=picture(1), headers={"Content-Type": "image/png"})
    assert answer.json()["predictions"][0]["label"] in CLASSES


def test_a_run_that_cannot_be_exported_says_why(client: TestClient) -> None:
    name = {"name": "<b>first"}
    client.post("/model", params=name)
    until(lambda: client.get("/model", params=name).json()["state"] == "failed", 120)
    assert "recipe.yaml" in client.get("/model", params=name).json()["error"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none is not a folder"):
        Library(tmp_path / "none")


def test_the_page_writes_text_only_and_loads_nothing_from_elsewhere() -> None:
    scripts = "".join(path.read_text() for path in PAGE.glob("*.js"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", scripts)
    everything = scripts + "".join(path.read_text() for path in PAGE.iterdir())
    addresses = set(re.findall(r"https?://[^\"'\s]+", everything))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\son\w+\s*=|style\s*=\s*\"", (PAGE / "index.html").read_text())


def test_the_playground_is_open_under_its_own_policy(client: TestClient) -> None:
    answer = client.get("/playground")
    assert answer.status_code == 200
    assert "window.playground" in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "unsafe" not in policy


def test_the_process_has_no_torch(root: Path) -> None:
    code = "import sys, sightline.app.__main__, sightline.app.routes; from sightline.lab.playground import playground_page; "
    code += "playground_page(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="a browser opens the page")
def test_in_a_browser_an_image_is_dropped_and_the_report_opened(root: Path, tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    image = tmp_path / "<img src=x onerror=alert(1)>.png"
    image.write_bytes(picture(1))
    command = [sys.executable, "-m", "sightline.app", str(root), "--port=0", "--json", "--threads=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, sync_api.sync_playwright() as play:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page, hosts, troubles = browser.new_page(), set(), []
            page.on("request", lambda request: hosts.add(request.url.split("/")[2] if "//" in request.url else ""))
            page.on("console", lambda line: troubles.append(line.text) if line.type == "error" else None)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.goto(f"{url}/#run=exports%2Fsmall")
            page.wait_for_selector("#run:not([hidden])")
            page.set_input_files("#files", [str(image)])
            page.wait_for_selector("#predictions canvas", timeout=60_000)
            assert page.locator("#predictions .file").inner_text() == image.name
            assert page.locator("#predictions .answer").inner_text() in CLASSES
            page.locator("nav button", has_text="<b>first").click()
            page.locator("#tabs [aria-controls=report]").click()
            frame = page.frame_locator("iframe")
            assert frame.locator("title").inner_text() is not None
            assert hosts <= {url.split("/")[2], ""} and not troubles
        finally:
            process.terminate()
