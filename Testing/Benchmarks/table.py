"""How a table is printed, the processor, where the datasets are; for benchmarks of processes without torch too."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path


def processor_name() -> str:
    """The processor's name and its number of cores, as this process sees them."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def datasets_folder() -> Path:
    """$MEDLANDMARK_DATA, else ../shared/data beside the repository."""
    return Path(os.environ.get("MEDLANDMARK_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table, numbers to the right."""
    print(f"\n{title}\n")
    print(f"| {' | '.join(columns)} |")
    print(f"|{'|'.join('---' if number == 0 else '---:' for number in range(len(columns)))}|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()
