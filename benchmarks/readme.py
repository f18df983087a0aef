"""Write the table of docs/benchmarks.md from results/: a number in the docs comes from a recorded run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def read(name: str) -> dict[str, Any]:
    path = ROOT / "results" / name
    return dict(json.loads(path.read_text())) if path.exists() else {}


def table() -> str:
    lines = ["| what | measured | how |", "|---|---|---|"]
    for name in ("digits", "mnist_lenet5", "cifar10_resnet20"):
        if found := read(f"recipes/{name}.json"):
            seconds = sum(r["process_seconds"] for r in found["runs"]) / found["n"]
            spread = f" ± {100 * found['test_accuracy_sd']:.2f}" if found["test_accuracy_sd"] is not None else ""
            cores = found["machine"]["gpu"] or f"{found['machine']['cores']} CPU cores"
            lines.append(
                f"| `{name}` | test accuracy {100 * found['test_accuracy_mean']:.2f} %{spread} (n={found['n']}) | "
                f"`{found['command']}`, {cores}, {seconds:.0f} s |"
            )
    for row in read("speed-training.json").get("rows", ()):
        how = ", `fit.compile=true`" if row["compiled"] else ""
        loop = f"{row['ratio']:.2f}x the plain loop{' in bf16' if row['precision'] == 'bf16' else ''}"
        if "fp32_loop" in row:
            loop = f"{row['fp32_loop']['ratio']:.2f}x the plain loop in fp32, {row['ratio']:.2f}x the same in bf16"
        lines.append(
            f"| training speed, {row['model']} {row['precision']}{how} | {loop}, "
            f"{row['memory_ratio']:.2f}x its memory | {_processor(row['machine'])}, n={row['n']}, "
            f"{row['images_per_second']:,.0f} images/s |"
        )
    for name in ("camvid", "bccd", "nuclei"):
        if found := read(f"folders/{name}.json"):
            metric, value = next(iter(found["measured"].items()))
            words, cores = metric.replace("_", " "), found["machine"]["gpu"] or f"{found['machine']['cores']} CPU cores"
            cores = f"{found['threads']} thread of {cores}" if found["threads"] else cores
            lines.append(
                f"| `{name}`, {found['task']}, {found['model']} | {found['split']} {words} {100 * value:.1f} %, without "
                f"looking {100 * found['baseline'][metric]:.1f} % (n={found['n']}) | `{found['command']}`, {cores}, "
                f"{found['seconds']} s |"
            )
    lines += [*_fine_tuning(), *_faults()]
    return "\n".join(lines)


def _fine_tuning() -> Iterator[str]:
    for name, pair in read("fine-tuning.json").items():
        ours, scratch = pair["pretrained"], pair["scratch"]
        metric = next(iter(ours["measured"]))
        yield (
            f"| `{name}`, {ours['model']} from published weights | {ours['split']} {metric.replace('_', ' ')} {_share(ours)}; "
            f"{scratch['model']} from random weights {_share(scratch)} (n=1 each) | `{ours['command']}`, one thread of "
            f"{_processor(pair['machine'])}, {ours['steps']} and {scratch['steps']} steps |"
        )


def _share(found: dict[str, Any]) -> str:
    (value,) = found["measured"].values()
    interval = "" if not found["interval"] else " ({:.1f}–{:.1f})".format(*(100 * end for end in found["interval"]))
    return f"{100 * value:.1f} %{interval}"


def _faults() -> Iterator[str]:
    for part in ("faults", "faults-kills", "faults-signals"):
        found = read(f"{part}.json")
        for hurt in found.get("figures", ()):
            if "kills" in hurt:
                what = f"killed with `kill -9`, {hurt['task']}"
                bore = f"{hurt['identical']}/{hurt['runs']} runs bit-identical after {hurt['kills']} kills"
            else:
                what = "stopped by SIGTERM, classification"
                bore = (
                    f"{hurt['identical']}/{hurt['runs']} runs bit-identical after {hurt['signals']} signals, each heard "
                    f"within {hurt['slowest_seconds']:.1f} s"
                )
            yield f"| {what} | {bore} | `{found['command']}`, {found['seconds']} s |"


def _processor(machine: dict[str, Any]) -> str:
    """What did it, in words that fit a table."""
    if machine["gpu"]:
        return str(machine["gpu"])
    return f"{machine['cores']} cores of {machine['cpu'].replace('(R)', '').removesuffix(' Processor')}"


def main() -> None:
    path = ROOT / "docs" / "benchmarks.md"
    before, rest = path.read_text().split("<!-- results -->")
    _, after = rest.split("<!-- /results -->")
    path.write_text(f"{before}<!-- results -->\n{table()}\n<!-- /results -->{after}")


if __name__ == "__main__":
    main()
