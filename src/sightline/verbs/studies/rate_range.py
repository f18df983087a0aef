"""Which learning rates train at all? One short training whose rate rises step by step until the loss explodes.

Smith 2015, "Cyclical learning rates for training neural networks", arXiv:1506.01186, section 3.3, with a rate that rises by a
constant factor. The loss is smoothed by an exponential mean with bias correction. What is suggested is the rate at which it
falls fastest: a peak rate for a schedule that climbs to it. It is one training of one seed: a start for `tune`, not an answer.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.engine.devices import choose_device, compute_threads, make_fabric, repeatable
from sightline.engine.state import State
from sightline.errors import DivergedError, UsageError
from sightline.kinds.opening import choose_kind, draft, open_dataset, require_known_network
from sightline.models.own import name_of
from sightline.reports.pages.page import AnswerPage, render_answer
from sightline.reports.parts.figures import Chart
from sightline.runs.console import Console
from sightline.runs.folder import begin, place
from sightline.storage.files import make_folder, replace_file
from sightline.training.loop import descent_of
from sightline.training.prepare import prepare, resolve, start_of

LOW, HIGH = 1e-6, 10.0
KEEP = 0.9  # of the smoothed loss, from step to step
CUT = 1.5  # times the first loss: the chart shows the fall, beside which the explosion is a wall
EXPLODED = 4.0  # times the smallest smoothed loss


def rate_range(
    what: str,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    steps: int = 100,
    model: str | None = None,
    device: str | None = None,
    out: str | Path | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train WHAT for at most `steps` steps at rates from 1e-6 to 10, and write OUT/rate-range.json and .html. Returns `rates`,
    `losses`, smoothed as `smooth`, and `suggestion`, the rate at which the loss falls fastest; None where it never falls."""
    if steps < 10:
        raise UsageError(f"{steps} steps show no curve", "use at least 10")
    console = console or Console()
    flags = {
        "model.name": None if model is None else name_of(model), "fit.device": device, "schedule.name": "constant",
        "data.allow_network": allow_network or None, "model.allow_network": allow_network or None,
    }  # fmt: skip
    given = draft(what, overrides, flags)
    require_known_network(given)
    data = open_dataset(given, console)
    kind = choose_kind(given, data.audit.source)
    with tempfile.TemporaryDirectory() as temporary:
        recipe = resolve(given, kind, data)
        start = start_of(recipe, kind, data, None, console)
        run = place(recipe, data, str(Path(temporary) / "run"), smoke=False)
        device = choose_device(recipe.fit.device)
        with compute_threads(recipe.fit.threads), repeatable(device):
            begin(run, recipe, data, kind.name, smoke=False, console=console)
            training = prepare(run, recipe, kind, data, start, console, smoke=False)
            training.steps, training.per_epoch = steps, steps
            training.schedule = lambda state: LOW / recipe.optim.lr * (HIGH / LOW) ** (state.step / (steps - 1))
            with console.working("raising the rate", steps):
                losses = _losses(training, make_fabric(training.device, recipe.fit.precision))
    rates = [LOW * (HIGH / LOW) ** (i / (steps - 1)) for i in range(len(losses))]
    smooth = smoothed(losses)
    facts = {
        "data": data.name, "task": kind.name, "model": recipe.model.name, "batch": recipe.fit.batch, "rates": rates,
        "losses": losses, "smooth": smooth, "suggestion": steepest(rates, smooth), "default": recipe.optim.lr,
    }  # fmt: skip
    folder = Path(out) if out is not None else Path("runs") / f"rates-{Path(data.name).stem}"
    make_folder(folder)
    replace_file(folder / "rate-range.json", (json.dumps(facts, indent=1) + "\n").encode())
    replace_file(folder / "rate-range.html", page_of(facts).encode())
    return facts | {"page": str(folder / "rate-range.html")}


def _losses(training: Any, fabric: Any) -> list[float]:
    """The loss of each step, until it is four times the smallest or no number."""
    losses: list[float] = []

    def record(state: State) -> None:
        means = state.logged.means()
        losses.append(float(means.get("loss", next(iter(means.values()), math.nan))))
        state.logged.clear()

    def exploded() -> bool:
        smooth = smoothed(losses)
        return bool(smooth) and (not math.isfinite(smooth[-1]) or smooth[-1] > EXPLODED * min(smooth))

    work = descent_of(training, fabric)
    with suppress(DivergedError):
        work(every=[(1, record)], stop=exploded)
    while losses and not math.isfinite(losses[-1]):
        losses.pop()
    return losses


def smoothed(losses: Sequence[float]) -> list[float]:
    """The exponential mean, divided by the weight that it has so far."""
    mean, found = 0.0, []
    for i, loss in enumerate(losses):
        mean = KEEP * mean + (1 - KEEP) * loss
        found.append(mean / (1 - KEEP ** (i + 1)))
    return found


def steepest(rates: Sequence[float], smooth: Sequence[float]) -> float | None:
    """The rate at which the smoothed loss falls fastest over the logarithm of the rate, before its minimum; None where it never
    falls."""
    if len(smooth) < 3:
        return None
    end = max(int(torch.tensor(smooth).argmin()), 2)
    slopes = [smooth[i + 1] - smooth[i - 1] for i in range(1, end)]  # equal steps of the logarithm
    best = min(range(len(slopes)), key=slopes.__getitem__)
    return rates[best + 1] if slopes[best] < 0 else None


def page_of(facts: Mapping[str, Any]) -> str:
    """The page with the curve, as HTML text."""
    x = [math.log10(rate) for rate in facts["rates"]]
    found = facts["suggestion"]
    top = CUT * facts["smooth"][0]
    lines = [
        Line(name, x, [min(value, top) for value in facts[key]], tone=tone)
        for name, key, tone in (("loss", "losses", "quiet"), ("smoothed", "smooth", "one"))
    ]
    text = f"Training loss at each step, while the rate rises by a constant factor; cut off at {top:.2g}."
    frame = Frame("Loss and learning rate", text, "log10 of the learning rate", "loss")
    what = "The loss never falls: look at the data or the network first." if found is None else (
        f"The loss falls fastest at {found:.2g}; the default is {facts['default']:.2g}."
    )  # fmt: skip
    return render_answer(
        AnswerPage(
            title="Learning rates",
            name=str(facts["data"]),
            chips=(facts["task"], facts["model"], f"batches of {facts['batch']}"),
            verdict=what,
            sentences=["One short training with one seed: a place to start a search from, not its result."],
            number="–" if found is None else f"{found:.2g}",
            under="rate at which the loss falls fastest",
            charts=[Chart(line_chart(lines, frame), text)],
            tables=[],
            command=""
            if found is None
            else f"sightline train {facts['data']} -m {facts['model']} optim.lr={found:.2g}",
        )
    )
