"""Where training runs: device, precision, threads, and the fingerprint that "bit-identical" is promised for.

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
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.wrappers import _FabricModule
from torch.nn.attention import SDPBackend, sdpa_kernel

from sightline.errors import ResourceError, UsageError
from sightline.tasks.task import Task

Precision = Literal["auto", "fp32", "bf16"]
BF16_WORTH = 5_000_000  # multiply-adds an image below which low precision costs more in casts than it saves
THREADS_WORTH = 5_000_000  # the same for compute threads


def choose_device(name: str = "auto") -> str:
    """ "auto" → the accelerator if there is one. Raises ResourceError for one that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name not in there:
        raise UsageError(f"unknown device {name!r}", f"known: auto, {', '.join(there)}")
    if not there[name]:
        raise ResourceError(f"device {name!r} is not available here", "use --device auto")
    return name


def choose_precision(name: Precision, device: str, multiply_adds: int) -> str:
    """ "auto" → bf16 where the processor computes in it and the network is large enough to gain, else fp32."""
    if name != "auto":
        return name
    native = torch.cuda.is_bf16_supported() if device == "cuda" else device == "cpu" and _cpu_bf16()
    return "bf16" if native and multiply_adds >= BF16_WORTH else "fp32"


def _cpu_bf16() -> bool:
    """Whether this CPU gains by bfloat16: it has AMX, or is AMD's with AVX-512 BF16. On Intel's that instruction alone is
    no faster than float32 and the casts come on top (ResNet-20: 495 images/s for 693)."""
    try:
        said = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in said or ("avx512_bf16" in said and "AuthenticAMD" in said)


class _Autocast(MixedPrecision):
    """bf16 by autocast alone. Fabric would also cast what a network is given, and round a detector's true boxes to 8 bits."""

    def convert_input(self, data: Any) -> Any:
        return data


def make_fabric(device: str, precision: str) -> Fabric:
    """Fabric on one device, launched; what it chose is in the fingerprint, so it need not announce it."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    low: Any = _Autocast("bf16-mixed", device) if precision == "bf16" else None
    fabric = Fabric(accelerator=device, devices=1, plugins=low)
    fabric.launch()
    return fabric


def set_up(
    fabric: Fabric, task: Task, optimizers: Mapping[str, torch.optim.Optimizer], *, compiled: bool = False
) -> dict[str, torch.optim.Optimizer]:
    """Move the task to the device, wrap the networks that learn (`compiled`: through torch.compile, for training only);
    returns the optimisers as Fabric wraps them."""
    task.to(fabric.device)
    for name in task.learned():
        network: Any = torch.compile(getattr(task, name)) if compiled else getattr(task, name)
        setattr(task, name, fabric.setup_module(network, move_to_device=False))
    return {name: fabric.setup_optimizers(optimizer) for name, optimizer in optimizers.items()}  # type: ignore[misc]


def require_compiler() -> None:
    """ResourceError where torch.compile would find no C++ compiler, which it needs for any device."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++") if name):
        raise ResourceError("fit.compile needs a C++ compiler and there is none", "install g++, or fit.compile=false")


@contextmanager
def deep_graphs(enabled: bool = True) -> Iterator[None]:
    """Inside, torch.compile may follow a thousand layers: its passes call themselves from one operation to the next."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 100_000) if enabled else before)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def unwrapped(task: Task) -> Iterator[Task]:
    """Inside, the task's networks are the bare modules: full precision, no synchronising. For judging, not training."""
    wrapped = {name: child for name, child in task.named_children() if isinstance(child, _FabricModule)}
    for name, child in wrapped.items():
        setattr(task, name, child.module)
    try:
        yield task
    finally:
        for name, child in wrapped.items():
            setattr(task, name, child)


def choose_threads(threads: int, multiply_adds: int) -> int:
    """0 → one for networks below `THREADS_WORTH`, else torch's choice. Several threads gain little on small networks,
    and lose tenfold when another program takes a core: they wait for each other at every layer."""
    return threads or (1 if multiply_adds < THREADS_WORTH else torch.get_num_threads())


@contextmanager
def compute_threads(threads: int) -> Iterator[None]:
    """Inside, torch computes with so many threads (0: as it is set); outside, as before. Bits differ between counts."""
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
    """Inside, CUDA uses kernels that add in one order, so that the same training gives the same bits; torch warns by name
    where an operation has none. cuBLAS also wants CUBLAS_WORKSPACE_CONFIG, which the command line sets. A CPU repeats
    itself anyway."""
    if device != "cuda":
        yield
        return
    memory: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # nothing here reads what it has not written
    try:
        with sdpa_kernel(SDPBackend.MATH):  # the fast ones keep an order of their own in their backward pass
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled


def fingerprint(fabric: Fabric, precision: str, *, compiled: bool = False) -> dict[str, Any]:
    """What two processes must share for the same training to give the same bits."""
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
