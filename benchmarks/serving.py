"""What a server does under load, under attack and when it is stopped: results/serving.json.

    python benchmarks/serving.py [SECTION]... [--mutants N]

Sections are those of `SECTIONS`; each replaces its own figures. Everything happens on the loopback interface. Figures of
one section that are compared with each other are measured in turn; the load average before and after stands beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import described
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

from tests.serving.access_matrix import BINDS, TOKEN  # noqa: E402
from tests.serving.clients import Served, maps, picture, received, resident, served  # noqa: E402
from tests.serving.hostile_requests import endless, hostile, mutants, traversals  # noqa: E402
from tests.serving.load import Tally, closed_loop, fixed_rate  # noqa: E402
from tests.serving.small_exports import classifier  # noqa: E402
from tests.serving.test_access import check_cells  # noqa: E402
from tests.serving.test_limits import MOST, status_of  # noqa: E402

MODEL = os.environ.get("SERVED_MODEL", "efficientnet_lite0")  # of S1: a run, an export or a published network
FILE = ROOT / "results" / "serving.json"
WORK = Path(tempfile.mkdtemp(prefix="serving-"))
TICK = os.sysconf("SC_CLK_TCK")


def small() -> Path:
    """A classifier of about a millisecond an image, written by hand."""
    folder = WORK / "small"
    return folder if folder.exists() else classifier(folder, side=32, turns=8)


def photo(seed: int) -> bytes:
    """A JPEG of 500 x 375 pixels with the coarse structure of a photograph, about 50 KB."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize(
        (500, 375), Image.Resampling.BICUBIC
    )
    noise = random.normal(0, 9, (375, 500, 3))
    file = io.BytesIO()
    Image.fromarray((np.asarray(coarse) + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def requests(server: Served, images: Sequence[bytes], kind: str = "image/png") -> list[bytes]:
    head = f"POST /predict HTTP/1.1\r\nHost: {server.name}\r\nContent-Type: {kind}\r\nContent-Length: "
    return [head.encode() + str(len(image)).encode() + b"\r\n\r\n" + image for image in images]


def cpu(*pids: int) -> float:
    """Seconds of processor time so far."""
    fields = (Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids)
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICK


def memory(server: Served) -> int:
    return sum(resident(pid) for pid in (server.process.pid, server.worker))


# S1


def throughput() -> dict[str, Any]:
    """The server with 8 clients beside the same model in this process on batches of 8; one client beside one image at a
    time. Processor time an image does not depend on what else the machine does."""
    from sightline import runtime
    from sightline.verbs.serve import served_folder

    folder, images = served_folder(MODEL), [photo(i) for i in range(32)]
    model, rounds = runtime.open(folder, threads=1), []
    prepared = [model.prepare(image) for image in images]
    model.outputs(prepared[:8])
    eights = [slice(i, i + 8) for i in range(0, 32, 8)]

    def alone(act: Callable[[slice], Any], seconds: float) -> tuple[float, float, float]:
        """Images a second, seconds of processor time an image, median seconds of a call."""
        start, used, taken = time.perf_counter(), time.process_time(), []
        while time.perf_counter() - start < seconds:
            began = time.perf_counter()
            act(eights[len(taken) % 4])
            taken.append(time.perf_counter() - began)
        count = 8 * len(taken)
        return count / (time.perf_counter() - start), (time.process_time() - used) / count, median(taken)

    with served(folder, "--threads=1") as server:
        sent, pids = requests(server, images, "image/jpeg"), (server.process.pid, server.worker)
        asyncio.run(closed_loop(server.port, 8, 2, sent))
        for _ in range(5):
            session = alone(lambda part: model.outputs(prepared[part]), 4)
            whole = alone(lambda part: model.predict_batch(images[part]), 4)
            before = cpu(*pids)
            eight = asyncio.run(closed_loop(server.port, 8, 8, sent))
            used = (cpu(*pids) - before) / eight.count()
            single = alone(lambda part: [model.predict(image) for image in images[part]], 4)
            before = cpu(*pids)
            one = asyncio.run(closed_loop(server.port, 1, 4, sent))
            used_alone = (cpu(*pids) - before) / one.count()
            rounds.append(
                {
                    "session_per_second": session[0],
                    "in_process_per_second": whole[0],
                    "served_per_second": eight.rate,
                    "session_cpu_ms": session[1] * 1e3,
                    "in_process_cpu_ms": whole[1] * 1e3,
                    "served_cpu_ms": used * 1e3,
                    "single_ms": single[2] / 8 * 1e3,
                    "served_single_p50_ms": one.percentile(50),
                    "single_cpu_ms": single[1] * 1e3,
                    "served_single_cpu_ms": used_alone * 1e3,
                    "p50_ms": eight.percentile(50),
                    "p99_ms": eight.percentile(99),
                    "lost": sum(eight.lost.values()),
                }
            )
    middle = {name: round(median(one[name] for one in rounds), 3) for name in rounds[0]}
    return {
        "model": f"{model.facts['model']}, {prepared[0].pixels.shape[0]} x {prepared[0].pixels.shape[1]}, JPEG of 500 x 375",
        "threads": 1,
        "clients": 8,
        "rounds": len(rounds),
        **middle,
        "served_over_in_process": round(median(r["served_per_second"] / r["in_process_per_second"] for r in rounds), 3),
        "served_over_session": round(median(r["served_per_second"] / r["session_per_second"] for r in rounds), 3),
        "cpu_in_process_over_served": round(median(r["in_process_cpu_ms"] / r["served_cpu_ms"] for r in rounds), 3),
        "added_ms_of_one_client": round(median(r["served_single_p50_ms"] - r["single_ms"] for r in rounds), 2),
        "added_cpu_ms_of_one_client": round(median(r["served_single_cpu_ms"] - r["single_cpu_ms"] for r in rounds), 2),
        "p99_over_p50": round(median(r["p99_ms"] / r["p50_ms"] for r in rounds), 2),
    }


# S2


def overload(seconds: float = 20) -> dict[str, Any]:
    """256 clients that never pause, then five times the capacity at a fixed rate; the peak is that of 8 clients."""
    images = [picture(seed, (32, 32)) for seed in range(32)]
    with served(small(), "--threads=1") as server:
        sent = requests(server, images)
        asyncio.run(closed_loop(server.port, 8, 2, sent))
        before = memory(server)
        peaks = [asyncio.run(closed_loop(server.port, 8, 5, sent))]
        crowd = asyncio.run(closed_loop(server.port, 256, seconds, sent))
        peaks.append(asyncio.run(closed_loop(server.port, 8, 5, sent)))
        peak = sum(one.rate for one in peaks) / len(peaks)
        flood = asyncio.run(fixed_rate(server.port, 5 * peak, seconds, sent))
        peaks.append(asyncio.run(closed_loop(server.port, 8, 5, sent)))
        grown = memory(server) - before
    peak = sum(one.rate for one in peaks) / len(peaks)
    found: dict[str, Any] = {"peak_per_second": round(peak, 1), "peak_p99_ms": peaks[0].percentile(99)}
    for name, tally in (("closed_loop_256", crowd), ("fixed_rate_5x", flood)):
        found[name] = {**tally.summary(), "accepted_over_peak": round(tally.rate / peak, 3)}
    return {**found, "memory_grown_mb": round(grown / 2**20, 1)}


# S3


def slow_clients() -> dict[str, Any]:
    """500 that send a header a second and 50 that stop in the middle of a body, beside one that behaves."""
    with served(small(), "--threads=1") as server:
        sent = requests(server, [picture(1, (32, 32))])
        asyncio.run(closed_loop(server.port, 1, 2, sent))
        before = asyncio.run(closed_loop(server.port, 1, 8, sent))
        ended: list[float] = []

        async def slow(body: bool) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            start = time.perf_counter()
            writer.write(sent[0][: len(sent[0]) // 2] if body else b"GET / HTTP/1.1\r\n")
            while True:
                try:
                    if not await asyncio.wait_for(reader.read(100), 1):
                        break
                except TimeoutError:
                    if not body:
                        writer.write(b"X-A: b\r\n")
                except OSError:
                    break
            ended.append(time.perf_counter() - start)
            writer.close()

        async def all_of_them() -> Tally:
            crowd = [asyncio.create_task(slow(i < 50)) for i in range(550)]
            tally = await closed_loop(server.port, 1, 8, sent)
            await asyncio.wait_for(asyncio.gather(*crowd), 40)
            return tally

        during = asyncio.run(all_of_them())
        after = asyncio.run(closed_loop(server.port, 1, 8, sent))
    calm = max(before.percentile(99), after.percentile(99))
    return {
        "slow": 550,
        "closed_after_at_most_s": round(max(ended), 1),
        "healthy_p99_ms": [before.percentile(99), during.percentile(99), after.percentile(99)],
        "p99_ratio": round(during.percentile(99) / calm, 2),
        "healthy_p50_ms": [before.percentile(50), during.percentile(50), after.percentile(50)],
        "healthy_answers": during.count(200),
        "lost": dict(during.lost),
    }


# S4


def limits() -> dict[str, Any]:
    with served(small(), "--threads=1") as server:
        server.predict(picture(1))
        before, wrong, answers = memory(server), [], {}
        for case in hostile(server.name, MOST):
            response = server.raw(case.request)
            answers[case.name] = response.status
            if response.status not in case.statuses or (case.code and response.code != case.code):
                wrong.append(case.name)

        def read() -> int:
            return int(server.ask("GET", "/metrics").body.decode().split("\nsightline_body_bytes_total ")[1].split()[0])

        start = read()
        with server.connect() as connection:
            connection.sendall(endless(server.name))
            connection.settimeout(3)
            with contextlib.suppress(OSError):
                for _ in range(48):
                    connection.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
            status = received(connection).status
        return {
            "cases": len(answers),
            "wrong": wrong,
            "answers": answers,
            "endless_body": status,
            "read_beyond_the_limit_bytes": read() - start - MOST,
            "memory_grown_mb": round((memory(server) - before) / 2**20, 1),
        }


# S5


def schema(examples: int = 2000) -> dict[str, Any]:
    """schemathesis with its checks, on every operation, valid and invalid. An operation without parameters has one example."""
    with served(small(), "--threads=1") as server:
        command = [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            f"http://{server.name}/openapi.json",
            "--phases=fuzzing",
        ]
        command += [f"--max-examples={examples}", "--mode=all", "--seed=1", "--no-color", "--continue-on-failure"]
        command += ["--exclude-checks=positive_data_acceptance"]  # no schema says which bytes are an image
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=WORK, env=environment)
        alive = server.predict(picture(1)).status
    tail = done.stdout[done.stdout.find("SUMMARY") :]
    return {
        "examples_per_operation": examples,
        "exit_code": done.returncode,
        "alive": alive == 200,
        "failures": sorted(set(re.findall(r"^- (.+)$", done.stdout, re.MULTILINE)))[:20],
        "summary": [line.strip() for line in tail.splitlines() if line.strip()][:20],
    }


def fuzz(count: int) -> dict[str, Any]:
    """Damaged requests, each on a connection of its own, from eight threads."""
    with served(small(), "--threads=1") as server:
        start = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            found = Counter(pool.map(lambda data: status_of(server, data), mutants(server.name, count)))
        took = time.perf_counter() - start
        alive = server.predict(picture(1)).status == 200
        traces = server.errors.read_text().count("Traceback")
    statuses = {str(status): n for status, n in sorted(found.items())}
    return {"mutants": count, "seconds": round(took), "statuses": statuses, "alive": alive, "tracebacks": traces}


# S6, S7


class Background:
    """Clients in a thread of its own, until `stop`."""

    def __init__(self, server: Served, clients: int) -> None:
        self.stopped, sent = threading.Event(), requests(server, [picture(1, (32, 32))])
        self.tally = Tally()

        def run() -> None:
            self.tally = asyncio.run(closed_loop(server.port, clients, 60, sent, self.stopped.is_set))

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def stop(self) -> Tally:
        self.stopped.set()
        self.thread.join(40)
        assert not self.thread.is_alive(), "a client hangs"
        return self.tally


def status_of_ready(server: Served) -> int:
    """The status of /readyz; 0 where nobody listens."""
    try:
        return server.ask("GET", "/readyz").status
    except (OSError, EOFError):
        return 0


def stops(count: int = 50) -> dict[str, Any]:
    """SIGTERM while eight clients ask. Clients stop asking when nobody listens any more."""
    codes, seconds, first, statuses, lost = Counter[int](), [], Counter[int](), Counter[int](), 0
    for _ in range(count):
        with served(small(), "--threads=1") as server:
            load = Background(server, 8)
            time.sleep(0.6)
            start = time.perf_counter()
            server.process.send_signal(signal.SIGTERM)
            while (status := status_of_ready(server)) == 200:
                pass
            first[status] += 1
            while status_of_ready(server):
                time.sleep(0.005)
            tally = load.stop()
            codes[server.process.wait(20)] += 1
            seconds.append(time.perf_counter() - start)
        statuses.update({status: len(taken) for status, taken in tally.seconds.items()})
        lost += sum(n for name, n in tally.lost.items() if name != "ConnectionRefusedError")
    return {
        "stops": count,
        "exit_codes": {str(k): v for k, v in codes.items()},
        "longest_s": round(max(seconds), 2),
        "first_answer_of_readyz": {str(k): v for k, v in first.items()},
        "answers": {str(k): v for k, v in statuses.items()},
        "connections_without_an_answer": lost,
    }


def kills(count: int = 20) -> dict[str, Any]:
    """SIGKILL to the worker while eight clients ask."""
    unready, back, used = [], [], []
    with served(small(), "--threads=1") as server:
        load = Background(server, 8)
        for _ in range(count):
            time.sleep(0.5)
            worker = server.worker
            start = time.perf_counter()
            os.kill(worker, signal.SIGKILL)
            while status_of_ready(server) == 200:
                pass
            unready.append(time.perf_counter() - start)
            while status_of_ready(server) != 200:
                time.sleep(0.01)
            back.append(time.perf_counter() - start)
            used.append(cpu(server.worker))
            if load.thread.is_alive() is False:
                load = Background(server, 8)
        tally = load.stop()
    return {
        "kills": count,
        "unready_after_at_most_ms": round(max(unready) * 1e3),
        "back_after_s": [round(median(back), 2), round(max(back), 2)],
        "cpu_seconds_of_a_start": round(median(used), 2),
        **tally.summary(),
    }


# S8, S10, F5


def access() -> dict[str, Any]:
    asked, folder = 0, small()
    with served(folder) as server:
        asked += check_cells(BINDS[0], server)
    with served(folder, token=TOKEN) as server:
        asked += check_cells(BINDS[1], server)
    with served(folder, token=TOKEN, host="0.0.0.0") as server:
        asked += check_cells(BINDS[2], server)
    done = subprocess.run(
        [sys.executable, "-m", "sightline.serving", str(folder), "--host=0.0.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "cells": asked,
        "as_specified": asked,
        "open_address_without_token": {"exit_code": done.returncode, "line": done.stderr.splitlines()[0]},
    }


def paths(count: int = 2000) -> dict[str, Any]:
    (WORK / "secret.txt").write_text("the secret")
    statuses, leaks = Counter[int](), 0
    with served(small(), "--threads=1") as server:
        for target in traversals(count):
            method = "POST" if target.startswith("/predict?") else "GET"
            response = server.ask(
                method, target, picture(1, (8, 8)) if method == "POST" else b"", Content_Type="image/png"
            )
            statuses[response.status] += 1
            leaks += any(mark in response.body for mark in (b"root:", b"the secret", b"sightline-export", b"PATH="))
    return {
        "payloads": count,
        "statuses": {str(k): v for k, v in sorted(statuses.items())},
        "answers_with_bytes_of_a_file": leaks,
    }


def steady(count: int = 5000) -> dict[str, Any]:
    """Memory over requests on eight connections; no torch in either process."""
    with served(small(), "--threads=1") as server:
        sent, at = requests(server, [picture(i, (60, 80)) for i in range(16)]), []
        done = 0
        while done < count:
            tally = asyncio.run(closed_loop(server.port, 8, 1, sent))
            done += tally.count(200)
            at.append((done, memory(server)))
        torch = any("libtorch" in maps(pid) for pid in (server.process.pid, server.worker))
    early = next(size for number, size in at if number >= count // 10)
    return {
        "requests": done,
        "memory_mb": round(early / 2**20, 1),
        "grown_mb": round((at[-1][1] - early) / 2**20, 2),
        "torch_mapped": torch,
    }


SECTIONS: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    "S1": ("throughput beside the model in this process", throughput),
    "S2": ("overload", overload),
    "S3": ("slow clients", slow_clients),
    "S4": ("limits", limits),
    "S5": ("schemathesis", schema),
    "S5-mutants": ("damaged requests", fuzz),
    "S6": ("SIGTERM under load", stops),
    "S7": ("SIGKILL of the worker under load", kills),
    "S8": ("access", access),
    "S10": ("paths that lead out", paths),
    "F5": ("memory over 5,000 requests", steady),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], default=[])
    parser.add_argument("--mutants", type=int, default=100_000)
    options = parser.parse_args()
    try:
        for name in options.sections or SECTIONS:
            title, measure = SECTIONS[name]
            load, start = os.getloadavg()[0], time.perf_counter()
            found = measure(options.mutants) if name == "S5-mutants" else measure()
            took = round(time.perf_counter() - start)
            loads = [round(load, 1), round(os.getloadavg()[0], 1)]
            stored: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
            stored[name] = {"what": title, "seconds_of_section": took, "load_average": loads, **found}
            print(name, json.dumps(stored[name]), flush=True)
            stored = {
                "command": "python benchmarks/serving.py",
                "machine": described(),
                **{k: stored[k] for k in SECTIONS if k in stored},
            }
            FILE.write_text(json.dumps(stored, indent=1) + "\n")
    finally:
        shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
