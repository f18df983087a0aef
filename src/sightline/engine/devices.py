"""Where training runs: device, precision, threads, and the fingerprint for which results are bit-identical.

The only file besides `fit` that knows Lightning Fabric.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from sightline.errors import ResourceError, UsageError
from sightline.tasks.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric
else:
    Fabric = Any  # imported by `make_fabric`: it brings torch's compiler along, which only training uses

Precision = Literal["auto", "fp32", "bf16"]
BF16_WORTH = 5_000_000  # multiply-adds per image; below, bf16 costs more in casts than it saves
THREADS_WORTH = 5_000_000  # likewise for more than one compute thread


def choose_device(name: str | int = "auto") -> str:
    """ "auto" → the accelerator if there is one; a number, or "cuda:1" → that GPU. Raises ResourceError for a device that this
    machine lacks."""
    name = str(name)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name.isdecimal():
        name = f"cuda:{name}"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind, _, number = name.partition(":")
    if kind not in there or (":" in name and (kind != "cuda" or not number.isdecimal())):
        raise UsageError(f"unknown device {name!r}", f"use auto, {', '.join(there)}, or the number of a GPU")
    count = torch.cuda.device_count() if there["cuda"] else 0
    if not there[kind] or (number and int(number) >= count):
        have = f"; there are {count} GPUs, numbered from 0" if count else ""
        raise ResourceError(f"device {name!r} is not available here{have}", "use --device auto")
    return name


def choose_precision(name: Precision, device: str, multiply_adds: int) -> str:
    """ "auto" → bf16 where the processor computes in it and the network is large enough to gain, else fp32."""
    if name != "auto":
        return name
    native = torch.cuda.is_bf16_supported() if device.startswith("cuda") else device == "cpu" and _cpu_bf16()
    return "bf16" if native and multiply_adds >= BF16_WORTH else "fp32"


def _cpu_bf16() -> bool:
    """Whether bfloat16 is faster on this CPU: it has AMX, or is an AMD with AVX-512 BF16. On Intel, AVX-512 BF16 alone is no
    faster than float32 and the casts come on top (ResNet-20 trains at 495 images/s instead of 693)."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in flags or ("avx512_bf16" in flags and "AuthenticAMD" in flags)


@cache
def _import_fabric() -> Any:
    """Lightning Fabric, without torchmetrics: Fabric imports that, if it is installed, only to compare its version for a
    callback that is not used here, and it would take longer than torch itself."""
    hidden = "torchmetrics" not in sys.modules
    if hidden:
        sys.modules["torchmetrics"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import lightning_fabric.plugins
    finally:
        if hidden:
            del sys.modules["torchmetrics"]
    return lightning_fabric


def _autocast(device: str) -> Any:
    """bf16 by autocast alone. Fabric would also cast the inputs, rounding a detector's true boxes to 8 significant bits."""

    plugins = _import_fabric().plugins

    class Autocast(plugins.MixedPrecision):  # type: ignore[misc]
        # bf16 needs no gradient scaler, and where `backward` is overridden, Fabric forbids a loss that takes gradients
        # itself, as attacks while training do.
        backward = plugins.Precision.backward

        def convert_input(self, data: Any) -> Any:
            return data

    return Autocast("bf16-mixed", device)


def make_fabric(device: str, precision: str) -> Fabric:
    """Fabric on one device, launched. Its log lines are silenced: the fingerprint records what it chose."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    low = _autocast(device.partition(":")[0]) if precision == "bf16" else None
    kind, _, number = device.partition(":")
    fabric: Fabric = _import_fabric().Fabric(accelerator=kind, devices=[int(number)] if number else 1, plugins=low)
    fabric.launch()
    return fabric


def set_up(
    fabric: Fabric, task: Task, optimizers: Mapping[str, torch.optim.Optimizer], *, compiled: bool = False
) -> dict[str, torch.optim.Optimizer]:
    """Move the task to the device, wrap the networks that learn (`compiled`: through torch.compile, for training only), and
    return the optimisers wrapped by Fabric."""
    task.to(fabric.device)
    for name in task.trained_networks():
        network: Any = torch.compile(getattr(task, name)) if compiled else getattr(task, name)
        setattr(task, name, fabric.setup_module(network, move_to_device=False))
    return {name: fabric.setup_optimizers(optimizer) for name, optimizer in optimizers.items()}  # type: ignore[misc]


def require_compiler() -> None:
    """Raises ResourceError if there is no C++ compiler, which torch.compile needs for every device."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++") if name):
        raise ResourceError(
            "fit.compile=true needs a C++ compiler and none was found", "install g++, or set fit.compile=false"
        )


@contextmanager
def deep_graphs(enabled: bool = True) -> Iterator[None]:
    """Raises the recursion limit: passes of torch.compile recurse once per operation, too deep for a thousand layers."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 100_000) if enabled else before)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def unwrapped(task: Task) -> Iterator[Task]:
    """Within the context the task's networks are the bare modules, in full precision and without synchronisation, for
    evaluation."""
    wrapped = {name: child for name, child in task.named_children() if _is_wrapped(child)}
    for name, child in wrapped.items():
        setattr(task, name, child.module)
    try:
        yield task
    finally:
        for name, child in wrapped.items():
            setattr(task, name, child)


def _is_wrapped(module: torch.nn.Module) -> bool:
    """Whether Fabric has wrapped the module; it has wrapped none before it was imported."""
    wrappers = sys.modules.get("lightning_fabric.wrappers")
    return wrappers is not None and isinstance(module, wrappers._FabricModule)


def choose_threads(threads: int, multiply_adds: int) -> int:
    """0 → one for networks below `THREADS_WORTH`, else torch's choice. Small networks gain little from more threads, and
    become ten times slower when another program takes a core: threads wait for each other at every layer."""
    return threads or (1 if multiply_adds < THREADS_WORTH else torch.get_num_threads())


@contextmanager
def compute_threads(threads: int) -> Iterator[None]:
    """Within the context torch computes with this many threads (0: unchanged). Another number gives other last bits."""
    before = torch.get_num_threads()
    if threads not in (0, before):
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Within the context CUDA uses kernels with a fixed order of summation, so that the same training gives the same bits;
    torch warns about operations that have none. cuBLAS also needs CUBLAS_WORKSPACE_CONFIG, which the command line sets.
    CPU kernels are deterministic anyway."""
    if not device.startswith("cuda"):
        yield
        return
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # a debugging aid that costs time; no memory is read before it is written
    try:
        with sdpa_kernel(SDPBackend.MATH):  # the backward passes of the fast ones sum in any order
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled


def fingerprint(fabric: Fabric, precision: str, *, compiled: bool = False) -> dict[str, Any]:
    """What must be equal in two processes for the same training to give the same bits."""
    return {
        "torch": torch.__version__,
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else fabric.device.type,
        "precision": precision,
        "world_size": fabric.world_size,
        "compile": compiled,
    }
