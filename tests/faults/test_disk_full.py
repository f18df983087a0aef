"""A disk that fills up at 20 different sizes: a verified checkpoint stays, the cause is named, the run can go on.

Ten limits on the size of a file (no privileges needed), ten small file systems in memory (in a user namespace).
"""

from __future__ import annotations

import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sightline.storage.folders import newest_good

from .runs import command, environment, finish, litter, outcome, write_jpegs

pytestmark = pytest.mark.slow
FELT: list[bool] = []  # whether each limit was in the way


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path, dict[str, object]]:
    """Data, a run that was stopped in its middle, a cache, and how the untouched run ends."""
    folder = tmp_path_factory.mktemp("disk")
    data, cache, begun, untouched = folder / "data", folder / "cache", folder / "begun", folder / "untouched"
    write_jpegs(data)
    assert finish(data, untouched, cache).returncode == 0
    child = subprocess.Popen(command(data, begun), env=environment(cache), stderr=subprocess.DEVNULL)
    while len(list((begun / "checkpoints").glob("step-*"))) < 2:
        time.sleep(0.01)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 143
    return data, begun, cache, outcome(untouched)


def check(
    done: subprocess.CompletedProcess[str], out: Path, data: Path, cache: Path, expected: dict[str, object]
) -> None:
    """The limit was felt and named, or nothing was in the way; then, without it, the run ends as if never disturbed."""
    felt = done.returncode == 6
    assert felt or done.returncode == 0, done.stderr
    if felt:
        assert "bytes are needed" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert newest_good(out / "checkpoints").folder is not None
        assert finish(data, out, cache).returncode == 0
    assert outcome(out) == expected
    assert not litter(out)
    FELT.append(felt)


@pytest.mark.parametrize("number", range(10))
def test_file_size_limits(number: int, begun: tuple[Path, Path, Path, dict[str, object]], tmp_path: Path) -> None:
    data, stopped, cache, expected = begun
    out = tmp_path / "run"
    shutil.copytree(stopped, out)
    size = random.Random(number).choice([1, 10, 100, 1000]) * 1024 + number
    done = subprocess.run(
        command(data, out), env=environment(cache), capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    check(done, out, data, cache, expected)


@pytest.mark.parametrize("number", range(10))
def test_small_file_systems(number: int, begun: tuple[Path, Path, Path, dict[str, object]], tmp_path: Path) -> None:
    data, stopped, cache, expected = begun
    needed = sum(p.stat().st_size for p in stopped.rglob("*") if p.is_file())
    size = needed + random.Random(100 + number).randrange(64 << 10, 6 << 20)
    inside, out = tmp_path / "inside", tmp_path / "run"
    inside.mkdir()
    train = " ".join(f"'{part}'" for part in command(data, inside / "run"))
    script = (
        f"mount -t tmpfs -o size={size} tmpfs '{inside}' && cp -r '{stopped}' '{inside}/run' && {train}; code=$?; "
        f"cp -r '{inside}/run' '{out}'; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script], env=environment(cache), capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no user namespace here: {done.stderr.strip()}")
    check(done, out, data, cache, expected)


def test_the_limits_were_in_the_way() -> None:
    """Of all above; where none was felt, nothing was tested."""
    if not FELT:
        pytest.skip("none was tried")
    assert sum(FELT) >= len(FELT) / 4
