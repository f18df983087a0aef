"""What is printed while a verb works: signs of life, an estimate only once it is steady, and the first line before torch."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from sightline.runs import pulse
from sightline.runs.console import Console
from sightline.training.pace import WARM_UP, WRITING, Pace, figure, span


class Heard(list[str]):
    """Lines as they are printed; `wait` returns as soon as there are some."""

    def __init__(self) -> None:
        self.more = threading.Semaphore(0)

    def __call__(self, line: str) -> None:
        self.append(line)
        self.more.release()

    def wait(self, lines: int) -> None:
        for _ in range(lines):
            assert self.more.acquire(timeout=60)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> tuple[Console, Heard]:
    monkeypatch.setattr(pulse, "SILENCE", 0.01)
    console, lines = Console(), Heard()
    console._pulse = pulse.Pulse(lines)
    return console, lines


def test_a_long_phase_is_described_again_and_again_and_the_innermost_first(heard: tuple[Console, Heard]) -> None:
    console, lines = heard
    with console.working("training on digits"):
        lines.wait(2)
        with console.working("evaluating", total=3) as phase:
            assert list(phase.over([[1], [2, 3]])) == [[1], [2, 3]]
            lines.wait(2)
        lines.clear()
        lines.wait(2)
        assert lines[-1].startswith("training on digits")


def test_parts_are_counted(heard: tuple[Console, Heard]) -> None:
    console, lines = heard
    with console.working("evaluating", total=3) as phase:
        list(phase.over([[1], [2, 3]]))
        lines.clear()
        lines.wait(2)
        assert lines[-1] == "evaluating: 3 of 3"


def test_lines_that_stay_become_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file each line of a phase comes after twice the silence, up to a limit; a phase of its own begins anew."""
    monkeypatch.setattr(pulse, "SILENCE", 0.001)
    monkeypatch.setattr(pulse, "LONGEST", 0.006)
    lines = Heard()
    beat = pulse.Pulse(lines, lasting=lambda: True)
    with beat.beating(lambda: "outer"):
        lines.wait(4)
        assert beat._silence == 0.006
        with beat.beating(lambda: "inner"):
            assert beat._silence <= 0.002
            lines.wait(1)
    replaced = pulse.Pulse(Heard())
    with replaced.beating(lambda: "line"):
        replaced.say.wait(3)  # type: ignore[attr-defined]
        assert replaced._silence == 0.001


def test_nothing_is_printed_where_little_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    console = Console(level=-1)
    with console.working("evaluating"):
        assert not console._pulse._lines  # no phase is open, so no thread
    assert capfd.readouterr().err == ""


def pace_of(durations: list[float], **values: int) -> Pace:
    """A training whose first steps took so long."""
    clock = [0.0]
    given = {"steps": 100, "batch": 10, "every": 50, "images": 0, "final": 0} | values
    pace = Pace(**given, now=lambda: clock[0])  # type: ignore[arg-type]
    pace.start()
    for seconds in durations:
        clock[0] += seconds
        pace.stepped()
    return pace


def test_the_time_left_leaves_out_the_warm_up() -> None:
    pace = pace_of([30.0] * WARM_UP + [1.0] * 17)
    assert pace.left(20) == pytest.approx(80 + WRITING)


def test_it_counts_validations_and_the_final_evaluation() -> None:
    pace = pace_of([1.0] * 20, images=40, final=100)
    assert pace.left(20) == pytest.approx(80 + 2 * 4 / 3 + 100 / 30 + WRITING)  # a forward pass is a third of a step
    pace.validated(8.0)
    assert pace.left(20) == pytest.approx(80 + 2 * 8 + 20 + WRITING)


def test_a_validation_is_no_part_of_its_step() -> None:
    clock = [0.0]
    pace = Pace(100, 10, 10, 40, 100, now=lambda: clock[0])
    pace.start()
    for step in range(1, 31):
        clock[0] += 1.0
        if step % 10 == 0:
            clock[0] += 8.0
            pace.validated(8.0)
        pace.stepped()
    assert pace.left(30) == pytest.approx(70 + 7 * 8 + 20 + WRITING)


@pytest.mark.parametrize(
    "durations", [[1.0] * 5, [0.001] * 200, [1.0] * 10 + [3.0] * 10], ids=["few", "short", "changing"]
)
def test_nothing_is_estimated_before_it_is_steady(durations: list[float]) -> None:
    assert pace_of(durations).left(len(durations)) is None


def test_figures_and_spans() -> None:
    assert [figure(x) for x in (0.0, 0.25, 0.00004321, 2.5)] == ["0.0000", "0.2500", "4.3e-05", "2.5000"]
    assert [span(s) for s in (0.2, 45, 720, 5400)] == ["1 s", "45 s", "12 min", "1.5 h"]


@pytest.mark.parametrize(
    "words", ["train digits", "data digits", "evaluate r", "predict r x.png", "report r", "doctor"]
)
def test_the_first_line_comes_before_torch(words: str) -> None:
    code = f"""
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "numpy", "pyarrow", "PIL", "yaml"):
            print(name, "is imported", file=sys.stderr)
            sys.meta_path.remove(self)
sys.meta_path.insert(0, Finder())
from sightline.cli.main import run
sys.argv = ["sightline", *{words.split()!r}]
run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/")
    assert "is imported" not in done.stderr.splitlines()[0]


def test_the_surface_is_loaded_without_what_it_does_not_need() -> None:
    code = (
        "import sys, sightline; sightline.train; sightline.evaluate; sightline.predict;"
        "print([m for m in ('sklearn', 'torchmetrics', 'sympy', 'scipy', 'lightning_fabric') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_network_is_described_without_the_compiler() -> None:
    code = "import sys, sightline; sightline.describe('lenet5'); print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
