"""What every benchmark measures alike: the machine, its matrix-product rate, memory; tables are in table.py."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from table import print_table as print_table
from table import processor_name

# The product whose rate is called the machine's: a layer of Sapiens-0.3b over its 3072 tokens.
_ROWS, _INNER, _COLUMNS = 3072, 1024, 4096
_PRODUCT_FLOP = 2 * _ROWS * _INNER * _COLUMNS


def machine_name(device: torch.device) -> str:
    """The processor's name, or the GPU's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor_name()


def software() -> str:
    return f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads"


class MatrixProduct:
    """Measures the rate of a plain matrix product, between other measurements."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        generator = torch.Generator().manual_seed(1)
        self.left = torch.randn(_ROWS, _INNER, generator=generator).to(device, dtype)
        self.right = torch.randn(_INNER, _COLUMNS, generator=generator).to(device, dtype)
        # a fixed place for the result, so that no time goes into asking for memory: the best rate there is
        self.out = torch.empty(_ROWS, _COLUMNS, device=device, dtype=dtype)

    def flop_per_second(self, repeats: int = 5) -> float:
        """The best of `repeats`; on a GPU each is the mean of 50, for one alone would be too short to time."""
        products = 50 if self.device.type == "cuda" else 1
        torch.mm(self.left, self.right, out=self.out)
        best = min(self._seconds(products) for _ in range(repeats))
        return products * _PRODUCT_FLOP / best

    def _seconds(self, products: int) -> float:
        def run() -> None:
            for _ in range(products):
                torch.mm(self.left, self.right, out=self.out)

        return seconds_of(run, self.device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Wall-clock seconds until `work` is complete on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peak_gigabytes(device: torch.device) -> float:
    """The most memory held so far: by PyTorch on a GPU, else by this process (resident, weights included)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Within it, torch computes on `count` threads (None: as many as it chose)."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def held_gigabytes(work: Callable[[], object]) -> float:
    """What the process holds at most during `work` beyond what it held before. RuntimeError elsewhere than on Linux."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        raise RuntimeError("The peak of a part of a process can be measured on Linux alone.")
    before = _status_kilobytes("VmRSS")
    reset.write_text("5")  # the peak starts from what is held now
    work()
    return (_status_kilobytes("VmHWM") - before) / 1e6


def _status_kilobytes(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))
