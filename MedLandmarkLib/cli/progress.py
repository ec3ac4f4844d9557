"""Progress bars: on stderr where that is a terminal, silent elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, str], None]]:
    """A bar for one long piece of work; yields what it reports to: a fraction 0..1 and what is being done."""
    with _progress(TaskProgressColumn()) as bar:
        task = bar.add_task(title, total=1.0)

        def report(fraction: float, text: str = "") -> None:
            bar.update(task, completed=fraction, description=f"{title}: {text}" if text else title)

        yield report


@contextmanager
def counting_bar() -> Iterator[Progress]:
    """A bar for many images or files; use its `track`. What is printed meanwhile goes above it."""
    with _progress(MofNCompleteColumn()) as bar:
        yield bar


def _progress(amount: MofNCompleteColumn | TaskProgressColumn) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        amount,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # else results meant for a file would go to the terminal
    )
