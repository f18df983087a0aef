"""A run pushed to a hub and pulled from it is the run: the same bits, the same predictions, a start for others."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import DamagedError, ResourceError, UsageError
from sightline.runs.run import Run
from sightline.storage.folders import digest
from sightline.verbs.hub import pull, push
from sightline.verbs.predict import predict
from sightline.verbs.report import report
from sightline.verbs.train import train
from sightline.verbs.verify import verify
from tests.asking import folder

from .server import Hub, served

pytest.importorskip("huggingface_hub", reason="the hub needs the extra 'hub'")

TOKEN = "hf_0123456789abcdefSECRET"
NAME = "me/photos"


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(place / "cache"))
        keys = {"fit.batch": 8, "fit.epochs": 1, "fit.threads": 1}
        return train(folder(place / "photos", {"cat": 12, "dog": 12}), keys, model="resnet8", out=place / "run")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with served(Hub()) as hub:
        yield hub


@pytest.fixture
def pushed(run: Run, hub: Hub) -> Hub:
    push(run, NAME, endpoint=hub.url, allow_network=True)
    return hub


def pulled(hub: Hub, **more: Any) -> Run:
    return pull(NAME, endpoint=hub.url, allow_network=True, **more)


def test_a_run_goes_there_and_back(run: Run, hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = push(run, NAME, endpoint=hub.url, allow_network=True)
    files = hub.repositories[NAME]
    assert result["files"] == sorted(files) and hub.private[NAME]
    assert hub.tokens - {""} == {f"Bearer {TOKEN}"}  # the store of large files gets none
    assert files["model/model.safetensors"] == (run.folder / "model" / "model.safetensors").read_bytes()
    assert files["README.md"].startswith(b"---\nlibrary_name: sightline\n")
    assert not [name for name in files if name.endswith((".html", ".png", ".parquet"))]
    whole = b"".join(data for name, data in files.items() if not name.endswith(".safetensors"))
    assert str(run.folder.parent).encode() not in whole  # no path of this machine
    back = pulled(hub)
    assert back.folder == Path("me-photos") and back.finished
    assert verify(back)["ok"]
    assert back.metrics == run.metrics
    pictures = sorted((run.folder.parent / "photos" / "cat").iterdir())[:4]
    assert predict(back, pictures).rows == predict(run, pictures).rows
    assert report(back).is_file()
    assert TOKEN not in "".join(capfd.readouterr())
    again = push(back, NAME, endpoint=hub.url, allow_network=True)  # what was pulled can be pushed
    assert {n: d for n, d in hub.repositories[NAME].items() if n != "README.md"} == {
        n: d for n, d in files.items() if n != "README.md"
    }
    assert again["repository"] == NAME


def test_samples_only_when_they_are_asked_for(run: Run, hub: Hub) -> None:
    push(run, NAME, endpoint=hub.url, allow_network=True, with_samples=True, public=True)
    assert {"samples/batch.png", "report.html"} <= hub.repositories[NAME].keys() and not hub.private[NAME]
    assert not (pulled(hub).folder / "report.html").exists()


def test_it_starts_another_training(pushed: Hub, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name from the hub, and as a folder that was pulled; with the preprocessing of its own training."""
    monkeypatch.setenv("HF_ENDPOINT", pushed.url)
    others = folder(tmp_path / "others", {"a": 12, "b": 12, "c": 12}, first=100)
    keys = {"fit.batch": 8, "fit.threads": 1, "model.name": "resnet8", "model.allow_network": True}
    first = train(others, keys | {"model.weights": f"hf:{NAME}"}, out="first", smoke=True)
    record = first.read_json("model/config.json")["weights"]
    weights = digest((run.folder / "model" / "model.safetensors").read_bytes())
    assert record["sha256"] == weights and record["head"]
    assert first.preprocessing.mean == pytest.approx(run.preprocessing.mean)
    back = pulled(pushed)
    second = train(others, keys | {"model.weights": str(back.folder)}, out="second", smoke=True)
    assert second.read_json("model/config.json")["weights"]["sha256"] == weights
    with pytest.raises(UsageError, match="allow_network"):
        train(others, {"model.name": "resnet8", "model.weights": f"hf:{NAME}"}, out="third", smoke=True)


@pytest.mark.parametrize("name", ["model/model.safetensors", "preprocessing.json", "recipe.yaml"])
def test_a_file_that_was_exchanged_is_refused(pushed: Hub, name: str, tmp_path: Path) -> None:
    data = bytearray(pushed.repositories[NAME][name])
    data[len(data) // 2] ^= 1
    pushed.repositories[NAME][name] = bytes(data)
    with pytest.raises(DamagedError, match="does not match"):
        pulled(pushed)
    assert not Path("me-photos").exists() and not list(tmp_path.glob(".*"))


def test_only_the_files_of_a_run_are_fetched(pushed: Hub) -> None:
    files = pushed.repositories[NAME]
    traps = ("pytorch_model.bin", "model/evil.pt", "../outside.json", "/etc/cron.json", "model/../../x.json", "setup.py",
             "report.html", "samples/batch.png", "model/a/b.json", "checkpoints/step-1/state.json")  # fmt: skip
    files.update(dict.fromkeys(traps, b"cos\nsystem\n"))
    pushed.calls.clear()
    back = pulled(pushed)
    fetched = [call for call in pushed.calls if "/resolve/" in call]
    assert fetched and not [call for call in fetched if any(trap in call for trap in traps)]
    assert not {path.name for path in back.folder.rglob("*")} & {Path(trap).name for trap in traps}


def test_what_is_not_sealed_or_lacks_or_is_too_large_is_refused(pushed: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    files = pushed.repositories[NAME]
    whole = dict(files)
    files["model/more.json"] = b"{}"
    with pytest.raises(DamagedError, match=r"more\.json .* not in its manifest"):
        pulled(pushed)
    files.clear()
    files.update({name: data for name, data in whole.items() if name != "metrics.json"})
    with pytest.raises(DamagedError, match=r"lacks metrics\.json"):
        pulled(pushed)
    del files["run.json"]
    with pytest.raises(DamagedError, match=r"no run\.json"):
        pulled(pushed)
    files.update(whole)
    manifest = json.loads(files["manifest.json"])
    manifest["files"]["../x.json"] = {"bytes": 1, "sha256": "0" * 64}
    files["manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(DamagedError, match="lacks"):
        pulled(pushed)
    files["recipe.yaml"] = b"#" * (9 << 20)
    with pytest.raises(DamagedError, match="at most"):
        pulled(pushed)


def test_nothing_is_contacted_without_leave_and_names_are_checked(run: Run, hub: Hub) -> None:
    for act in (lambda: push(run, NAME, endpoint=hub.url), lambda: pull(NAME, endpoint=hub.url)):
        with pytest.raises(UsageError, match="allow-network"):
            act()
    for name in ("photos", "me/../photos", "me/photos/x", "/me", "me/photos@../x"):
        with pytest.raises(UsageError, match="not the name of a repository"):
            pull(name, endpoint=hub.url, allow_network=True)
    for address in ("http://hub.example", f"https://me:{TOKEN}@hub.example"):
        with pytest.raises(UsageError, match="not safe") as error:
            pull(NAME, endpoint=address, allow_network=True)
        assert TOKEN not in str(error.value)
    assert hub.calls == []
    with pytest.raises(ResourceError, match="me/photos"):
        pull(NAME, endpoint=hub.url, allow_network=True)


def test_a_missing_package_is_one_line(run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ResourceError, match=r"sightline\[hub\]"):
        push(run, NAME, endpoint=hub.url, allow_network=True)
