"""Published weights by name: the table, and fetching, against a server on this machine that may misbehave."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import DamagedError, ResourceError, UsageError
from sightline.models import MODELS, published, weights
from sightline.models.create import create_model
from sightline.models.published import PublishedWeights
from tests.distinct import fill_distinct

torch.set_num_threads(1)
ROWS = [source for of in published.published().values() for source in of.values()]


@pytest.mark.parametrize("source", ROWS, ids=lambda s: f"{s.model} {s.name}")
def test_a_row_of_the_table(source: PublishedWeights) -> None:
    assert source.model in MODELS
    if source.package is None:
        assert source.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{8}([0-9a-f]{8})?", source.sha256)
    else:
        assert re.fullmatch("[0-9a-f]{16}", source.sha256)
    # as its publisher named it; a file that does not carry its hash is known by twice as many digits
    assert f"-{source.sha256[:8]}." in source.url or len(source.sha256) == 16
    assert source.licence
    assert source.data
    assert len(source.mean) == len(source.std) == 3
    assert all(0 <= value < 1 for value in source.mean) and all(0 < value < 1 for value in source.std)
    assert source.crop is None or source.crop <= source.resize


def test_the_table_names_each_file_once() -> None:
    assert len({source.sha256 for source in ROWS}) == len({source.url for source in ROWS}) == len(ROWS)


def test_names_and_defaults() -> None:
    assert published.find("resnet50", "torchvision").name == "torchvision/IMAGENET1K_V2"
    assert published.find("resnet50", "torchvision/IMAGENET1K_V1").sha256 == "0676ba61"
    assert published.find("se_resnet50", "timm").name == "timm/a1_in1k"
    with pytest.raises(UsageError, match=r"did you mean 'torchvision/IMAGENET1K_V2"):
        create_model("resnet50", weights="torchvision/IMAGENET1K_V3")
    with pytest.raises(UsageError, match="no published weights of lenet5 are known"):
        create_model("lenet5", weights="torchvision")
    with pytest.raises(UsageError, match="unknown model 'resnet5O'"):
        create_model("resnet5O", weights="torchvision")


class Server(HTTPServer):
    """Answers /weights-….pth with `body`; `told` is the length that it claims, `asked` counts."""

    body, told, status, asked = b"", -1, 200, 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        if self.server.told:
            self.send_header("Content-Length", str(self.server.told if self.server.told > 0 else len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def state(tmp_path: Path) -> Mapping[str, Tensor]:
    network = create_model("resnet8")
    fill_distinct(network, seed=3)
    return network.state_dict()


@pytest.fixture
def source(
    server: Server, state: Mapping[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PublishedWeights:
    """The server's weights of resnet8 in the table, and an empty cache."""
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    torch.save(state, tmp_path / "there.pth")
    server.body = (tmp_path / "there.pth").read_bytes()
    sha256 = hashlib.sha256(server.body).hexdigest()[:8]
    source = published.find("resnet18", "torchvision")._replace(
        name="here/V1",
        model="resnet8",
        url=f"http://127.0.0.1:{server.server_port}/weights-{sha256}.pth",
        sha256=sha256,
    )
    monkeypatch.setattr(published, "published", lambda: {"resnet8": {"here/V1": source}})
    monkeypatch.setattr(published, "SCHEMES", ("http",))
    return source


def left(tmp_path: Path) -> list[str]:
    """What is in the cache."""
    return sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())


def test_fetched_once_when_allowed(
    source: PublishedWeights,
    server: Server,
    state: Mapping[str, Tensor],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError) as caught:
        create_model("resnet8", weights="here")
    for part in (source.url, source.licence, "allow_network=True", "path of the file"):
        assert part in str(caught.value)
    assert server.asked == 0
    network = create_model("resnet8", weights="here", allow_network=True)
    assert server.asked == 1
    assert all(torch.equal(network.state_dict()[name], x) for name, x in state.items())
    said = capsys.readouterr().err
    for part in (f"fetched {source.url}", source.data, source.licence, "converted"):
        assert part in said
    assert network.origin.sha256 == hashlib.sha256(server.body).hexdigest()
    assert network.origin.preprocessing == {
        "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "resize": 256, "crop": 224, "interpolation": "bilinear",
    }  # fmt: skip
    assert network.origin.record()["url"] == source.url
    assert left(tmp_path) == ["manifest.json", "weights.safetensors"]  # the pickle is gone
    monkeypatch.setattr(weights, "fetch", None)
    again = create_model("resnet8", weights="here/V1", num_classes=3)
    assert server.asked == 1
    assert again.origin.head == ("fc.weight", "fc.bias")
    assert torch.equal(again.conv1.weight, state["conv1.weight"])


def test_a_file_that_is_published_is_recognised(
    source: PublishedWeights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = create_model("resnet8", weights=tmp_path / "there.pth")
    assert network.origin.source == source
    assert network.origin.licence == source.licence
    assert "source: here/V1 of resnet8, trained on ImageNet-1k" in capsys.readouterr().err


def test_published_weights_in_another_network_are_said_to_be(
    source: PublishedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where every shape fits, nothing else would tell: an activation, a stride, an edition of the same size."""
    path = tmp_path / "there.pth"
    torch.save(create_model("mlp").state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    ours, theirs = (source._replace(model=model, sha256=sha256) for model in ("mlp", "linear"))
    monkeypatch.setattr(published, "published", lambda: {"mlp": {"here/V1": ours}})
    create_model("mlp", weights=path, dropout="0.0")
    assert "as published;" not in capsys.readouterr().err
    create_model("mlp", weights=path, activation="tanh", num_classes=3)
    assert "trained in mlp as published; mlp with activation=tanh may" in capsys.readouterr().err
    monkeypatch.setattr(published, "published", lambda: {"linear": {"here/V1": theirs}})
    create_model("mlp", weights=path)
    assert "trained in linear as published; mlp may" in capsys.readouterr().err


def test_norms_that_learned_with_another_epsilon(
    source: PublishedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = source._replace(norm_eps=0.0)
    monkeypatch.setattr(published, "published", lambda: {"resnet8": {"here/V1": other}})
    network = create_model("resnet8", weights=tmp_path / "there.pth").eval()
    assert any("ε = 0" in line for line in network.origin.lines())
    exact = create_model("resnet8").eval()
    exact.load_state_dict(torch.load(tmp_path / "there.pth"))
    for norm in exact.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = 0.0
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (network(x) - exact(x)).abs().max() <= 1e-6 * exact(x).abs().max()


def test_another_file_than_announced_is_refused(source: PublishedWeights, server: Server, tmp_path: Path) -> None:
    server.body += b"x"
    with pytest.raises(DamagedError, match=rf"gave a file of SHA-256 .*, not {source.sha256}"):
        create_model("resnet8", weights="here", allow_network=True)
    assert left(tmp_path) == []


def test_a_download_that_breaks_off(source: PublishedWeights, server: Server, tmp_path: Path) -> None:
    server.told = len(server.body) + 1
    with pytest.raises(DamagedError, match=f"gave {len(server.body):,} bytes, not {server.told:,}"):
        create_model("resnet8", weights="here", allow_network=True)
    assert left(tmp_path) == []


@pytest.mark.parametrize("told", [-1, 0])
def test_a_download_without_end(
    told: int, source: PublishedWeights, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "MAX_BYTES", 1000)
    monkeypatch.setattr(published, "_PIECE", 512)
    server.told = told
    with pytest.raises(DamagedError, match="bytes, not"):
        create_model("resnet8", weights="here", allow_network=True)
    assert left(tmp_path) == []


def test_no_such_page_and_no_such_machine(
    source: PublishedWeights, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status = 404
    with pytest.raises(ResourceError, match=r"cannot fetch .*: Not Found \(.*pass the file's path"):
        create_model("resnet8", weights="here", allow_network=True)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = source._replace(url=f"http://127.0.0.1:{nobody.getsockname()[1]}/x.pth")
        monkeypatch.setattr(published, "published", lambda: {"resnet8": {"here/V1": gone}})
        with pytest.raises(ResourceError, match=r"refused"):
            create_model("resnet8", weights="here", allow_network=True)
    local = source._replace(url=(tmp_path / "there.pth").as_uri())
    monkeypatch.setattr(published, "published", lambda: {"resnet8": {"here/V1": local}})
    with pytest.raises(UsageError, match="is not an https URL"):
        create_model("resnet8", weights="here", allow_network=True)
    assert left(tmp_path) == []


def test_only_by_https(source: PublishedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "SCHEMES", ("https",))
    with pytest.raises(UsageError, match="is not an https URL"):
        create_model("resnet8", weights="here", allow_network=True)
    assert left(tmp_path) == []


def test_a_file_of_ones_own_is_not_served_under_a_published_name(source: PublishedWeights, tmp_path: Path) -> None:
    """Hashes in the table have 32 bits: a file may be made to begin alike."""
    create_model("resnet8", weights=tmp_path / "there.pth")  # into the cache, by its path
    with pytest.raises(UsageError, match=r"here/V1 of resnet8 is not in .*; it is at"):
        create_model("resnet8", weights="here")
