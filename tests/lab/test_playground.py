"""The playground: its forward, backward and optimisers are torch's, its page allows no request, and it works in a browser."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typer.testing import CliRunner

from sightline.cli.main import app
from sightline.lab import playground
from sightline.lab.page import index_page
from sightline.lab.playground import SCRIPTS, packed_digits, playground_page

HERE = Path(playground.__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script")
ACTIVATIONS = {
    "ReLU": F.relu, "leaky ReLU": lambda z: F.leaky_relu(z, 0.01), "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "linear": lambda z: z,
}  # fmt: skip


def run_script(body: str, **values: Any) -> Any:
    """What the body of a function returns in node, with the page's scripts that need no browser."""
    script = "\n".join((HERE / name).read_text() for name in SCRIPTS[:5])
    code = f"{script}\nconst given = JSON.parse(require('fs').readFileSync(0));\n"
    code += f"console.log(JSON.stringify((() => {{ {body} }})(), (k, v) => ArrayBuffer.isView(v) ? Array.from(v) : v));"
    done = subprocess.run(["node", "-e", code], input=json.dumps(values), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# A list of cases in one process: each network with its input, answer, loss, gradients, and the weights after three steps.
CASES = """
return given.cases.map(({ kind, hidden, width, activation, optimizer, l1, l2 }) => {
  const random = new Random(3), inputs = kind ? 64 : 2, classes = kind ? 10 : 2, n = 5;
  const network = kind ? digitNetwork(kind, width, activation, random) : pointNetwork(hidden, activation, random);
  const x = new Float64Array(n * inputs).map(() => random.normal());
  const labels = Array.from({ length: n }, () => random.below(classes));
  const parameters = network.parameters(), values = () => parameters.map((p) => Array.from(p.value));
  const start = values(), scores = Array.from(network.forward(x, n));
  const found = crossEntropy(scores, labels, classes), byInput = network.backward(found.gradient, n);
  const plain = parameters.map((p) => Array.from(p.gradient));
  const descent = new Optimizer(optimizer, parameters);
  for (let i = 0; i < 3; i++) {
    network.backward(crossEntropy(network.forward(x, n), labels, classes).gradient, n);
    addPenalty(parameters, l1, l2);
    descent.step(0.05);
  }
  return { x, labels, start, scores, loss: found.loss, right: found.right, plain, byInput, after: values() };
});
"""


def as_torch(case: dict[str, Any]) -> nn.Module:
    """The network of a case, in torch."""

    class Apply(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return ACTIVATIONS[case["activation"]](z)

    layers: list[nn.Module] = []
    if "hidden" in case:
        before = 2
        for units in case["hidden"]:
            layers += [nn.Linear(before, units), Apply()]
            before = units
        return nn.Sequential(*layers, nn.Linear(before, 2)).double()
    width = case["width"]
    if case["kind"] == "dense":
        return nn.Sequential(nn.Linear(64, width), Apply(), nn.Linear(width, 10)).double()
    layers = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, width, 3, padding=1), Apply(), nn.MaxPool2d(2)]
    if case["kind"] == "one convolution":
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * 16, 10)).double()
    layers += [nn.Conv2d(width, 2 * width, 3, padding=1), Apply(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * 8, 10)).double()


def optimizer_of(case: dict[str, Any], network: nn.Module) -> torch.optim.Optimizer:
    if case["optimizer"] == "Adam":
        return torch.optim.Adam(network.parameters(), lr=0.05)
    return torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9 if case["optimizer"] == "momentum" else 0)


@needs_node
def test_forward_backward_and_steps_are_torchs() -> None:
    """Every activation, layer, penalty and optimiser, in double precision: scores, loss, gradients by every weight and by the
    input, and the weights after three steps."""
    optimizers = ["SGD", "momentum", "Adam", "SGD", "momentum"]
    cases: list[dict[str, Any]] = [
        {"hidden": [5, 3], "activation": name, "optimizer": how, "l1": 0.01, "l2": 0.1}
        for name, how in zip(ACTIVATIONS, optimizers, strict=True)
    ]
    cases += [{"hidden": [], "activation": "tanh", "optimizer": "SGD", "l1": 0, "l2": 0}]
    cases += [
        {"kind": kind, "width": 3, "activation": name, "optimizer": "Adam", "l1": 0, "l2": 0.03}
        for kind in ("dense", "one convolution", "two convolutions")
        for name in ("ReLU", "tanh")
    ]
    for case, found in zip(cases, run_script(CASES, cases=cases), strict=True):
        network, close = as_torch(case), {"rtol": 1e-9, "atol": 1e-10}
        x = torch.tensor(found["x"], dtype=torch.float64).reshape(5, -1).requires_grad_()
        labels = torch.tensor(found["labels"])
        with torch.no_grad():
            for p, values in zip(network.parameters(), found["start"], strict=True):
                p.copy_(torch.tensor(values, dtype=torch.float64).reshape(p.shape))
        scores = network(x)
        loss = F.cross_entropy(scores, labels)
        loss.backward()
        np.testing.assert_allclose(found["scores"], scores.detach().ravel(), **close)
        np.testing.assert_allclose(found["loss"], loss.item(), **close)
        assert found["right"] == int((scores.argmax(1) == labels).sum())
        np.testing.assert_allclose(found["byInput"], x.grad.ravel(), **close)  # type: ignore[union-attr]
        for p, values in zip(network.parameters(), found["plain"], strict=True):
            np.testing.assert_allclose(values, p.grad.ravel(), **close)  # type: ignore[union-attr]
        optimizer = optimizer_of(case, network)
        for _ in range(3):
            weights = [p for p in network.parameters() if p.ndim > 1]
            penalty = sum(case["l1"] * w.abs().sum() + case["l2"] / 2 * w.square().sum() for w in weights)
            optimizer.zero_grad()
            (F.cross_entropy(network(x), labels) + penalty).backward()
            optimizer.step()
        for p, values in zip(network.parameters(), found["after"], strict=True):
            np.testing.assert_allclose(values, p.detach().ravel(), rtol=1e-7, atol=1e-8)


@needs_node
def test_points_are_learned_as_they_should_be() -> None:
    """XOR: a hidden layer separates it, a line does not; the same seed gives the same training."""
    body = """
    const run = (data, hidden, seed) => {
      const random = new Random(seed), train = drawPoints(data, 200, 0.2, random), test = drawPoints(data, 200, 0.2, random);
      const options = { optimizer: "SGD", rate: 0.1, l1: 0, l2: 0, batch: 16 };
      const training = new Training(pointNetwork(hidden, "tanh", random), train, test, 2, options, random);
      for (let i = 0; i < 600; i++) training.advance();
      return training.measure().testAccuracy;
    };
    return { xor: [0, 1, 2].map((seed) => run("xor", [4, 4], seed)), line: run("xor", [], 0), again: run("xor", [4, 4], 0),
             blobs: run("blobs", [], 0), rings: run("rings", [4, 4], 0) };
    """
    found = run_script(body)
    assert min(found["xor"]) >= 0.95
    assert found["again"] == found["xor"][0]
    assert found["line"] <= 0.75
    assert min(found["blobs"], found["rings"]) >= 0.9


@needs_node
def test_a_drawing_becomes_pixels_like_those_of_the_digits() -> None:
    """A small bar in a corner is brought to full height and to the middle; blocks are counted up to 16."""
    ink = np.zeros((32, 32), int)
    ink[2:12, 3:5] = 1
    pixels = np.array(run_script("return pixelsOf(given.ink)", ink=ink.ravel().tolist())).reshape(8, 8)
    assert pixels.sum(1).min() > 0  # every row has ink
    assert pixels[:, [0, 1, 2, 5, 6, 7]].sum() == 0
    assert pixels.max() <= 16
    assert not np.any(run_script("return pixelsOf(given.ink)", ink=[0] * 1024))


def test_the_page_holds_everything_and_allows_nothing_else() -> None:
    page = playground_page(index=True)
    assert "http" not in page.replace("http-equiv", "")
    assert " style=" not in page and " onclick=" not in page and "src=" not in page
    script = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)[0]
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy
    assert 'href="index.html"' in page and 'href="index.html"' not in playground_page()
    rows = np.frombuffer(gzip.decompress(base64.b64decode(packed_digits())), np.uint8).reshape(-1, 65)
    assert rows.shape == (1797, 65)
    assert rows[:, :64].max() == 16
    assert set(rows[:, 64]) == set(range(10))


def test_the_verb_writes_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["lab", "playground", "--out", str(tmp_path / "lab"), "--json"])
    assert json.loads(done.stdout) == {"page": str(tmp_path / "lab" / "playground.html")}
    assert (tmp_path / "lab" / "playground.html").read_text() == playground_page()
    (tmp_path / "file").write_text("")
    assert CliRunner().invoke(app, ["lab", "playground", "--out", str(tmp_path / "file")]).exit_code == 2
    assert CliRunner().invoke(app, ["lab", "playground", "data=xor"]).exit_code == 2
    assert "playground" in CliRunner().invoke(app, ["lab"]).stdout
    assert 'href="playground.html"' in index_page([], extras=[("playground.html", "Playground", "It plays.")])


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="a browser is needed")
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_it_plays_in_a_browser(tmp_path: Path, width: int, scheme: str) -> None:
    """Offline, from a file:// address: play, pause, step and reset, by mouse and by keyboard; both networks learn; a digit is
    drawn; nothing is requested, nothing fails, nothing is wider than a phone."""
    sync = pytest.importorskip("playwright.sync_api", reason="it drives the browser")
    page_file = Path(playground.write_playground(out=tmp_path))
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(offline=True, viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        requests: list[str] = []
        failures: list[str] = []
        page.on("request", lambda request: requests.append(request.url.split(":")[0]))
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
        page.goto(page_file.as_uri())
        wait_until(page, "!!window.playground")
        step = "playground.points.half.training.step"
        page.click("#points-step")
        assert page.evaluate(step) == 1
        page.focus("#points-play")
        page.keyboard.press("Enter")
        wait_until(page, f"{step} > 5")
        page.keyboard.press("Enter")
        stopped = page.evaluate(step)
        page.wait_for_timeout(300)
        assert page.evaluate(step) == stopped
        page.click("#points-reset")
        assert page.evaluate(step) == 0
        assert page.evaluate("playground.points.advance(600).testAccuracy") >= 0.95
        assert "accuracy" in page.inner_text("#points-figures")
        page.select_option("#points-rate", "0.03")
        assert page.evaluate(step) == 600  # a rate changes the training that runs, data begin a new one
        page.select_option("#points-data", "spirals")
        assert page.evaluate(step) == 0
        page.focus("#points-diagram")
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#points-caption").startswith("Unit 1 of hidden layer 2")
        page.keyboard.press("Escape")
        assert page.inner_text("#points-caption").startswith("The network's answer")
        page.evaluate("playground.digits.advance(400)")
        assert page.evaluate("playground.digits.half.training.latest.testAccuracy") >= 0.9
        draw(page, [(0.25, 0.15), (0.75, 0.15), (0.4, 0.9)])
        assert page.inner_text("#digits-answer").startswith("Your digit: the network says 7")
        page.click("#digits-clear")
        assert page.inner_text("#digits-answer").startswith("Test digit 0")
        page.focus("#digits-pad")
        for key in (" ", "ArrowDown", "ArrowDown"):
            page.keyboard.press(key)
        assert page.inner_text("#digits-answer").startswith("Your digit")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not failures
        assert set(requests) == {"file"}
        browser.close()


def wait_until(page: Any, expression: str) -> None:
    """Polled from outside: the page's policy forbids that playwright evaluates a string in it again and again."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(expression)


def draw(page: Any, points: list[tuple[float, float]]) -> None:
    """One stroke through points in shares of the field."""
    page.locator("#digits-pad").scroll_into_view_if_needed()
    box = page.locator("#digits-pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
