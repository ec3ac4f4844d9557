"""What every command shares: how it speaks, how it fails, and its exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from ..errors import DetectionCancelled, MedLandmarkError

SOME_FAILED = 1
NOTHING_DONE = 2
STOPPED = 130  # 128 + SIGINT, as shells have it

_FILE_COLUMNS = 160

EXIT_CODES = (
    "Exit codes: 0 all done, 1 some inputs failed (each is named on stderr, the others are done), "
    "2 wrong usage or nothing could be started, 130 stopped by Ctrl-C."
)


def out() -> Console:
    """The console for results; a file or a pipe has room for every column."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_COLUMNS)


def complain(message: object, subject: object = None) -> None:
    """One line on stderr: `medlandmark: SUBJECT: message`."""
    parts = ["medlandmark", *([shown(subject)] if subject is not None else []), _one_line(message)]
    print(": ".join(parts), file=sys.stderr, flush=True)


def shown(path: object) -> str:
    """A path as text that any terminal and any file can take, whatever bytes its name is made of."""
    return os.fsencode(str(path)).decode("utf-8", "replace")


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def complain_of(error: Exception, subject: object = None, verbose: bool = False) -> None:
    """One line for an error; one that nobody foresaw is named with its kind, and with --verbose shown in full."""
    if isinstance(error, MedLandmarkError):
        message = str(error)
        # Many messages begin with the file themselves; it is said once. A list of faults keeps its lines.
        first, *others = (message.removeprefix(f"{subject}: ") if subject is not None else message).split("\n  ")
        complain(first, subject)
        for line in others:
            print(f"  {_one_line(line)}", file=sys.stderr, flush=True)
    elif isinstance(error, OSError):
        place = f"{shown(error.filename)}: " if error.filename else ""
        complain(f"{place}{error.strerror or error}", subject)
    else:
        hint = "" if verbose else " (--verbose shows where)"
        complain(f"unexpected {type(error).__name__}: {error}{hint}", subject)
    if verbose:
        traceback.print_exception(error)


@contextmanager
def plain_errors(verbose: bool = False) -> Iterator[None]:
    """Ends the command with one line and exit code 2 for any error of its block, 130 for Ctrl-C; never a traceback."""
    try:
        yield
    except (KeyboardInterrupt, DetectionCancelled):
        complain("stopped; every file that was written is complete")
        raise typer.Exit(STOPPED) from None
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        # Whoever read our output has gone: nothing more to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(NOTHING_DONE) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("click", "typer"):  # wrong usage: typer's to say
            raise
        complain_of(error, verbose=verbose)
        raise typer.Exit(NOTHING_DONE) from None
