"""Why a worker process ended, in words for people who never saw an exit code."""

from __future__ import annotations

import re

from .process import Ended

_NO_MEMORY = "was ended by the system, most likely for lack of memory"
_CRASHED = "crashed in native code"
_OUTSIDE = "was ended from outside"

# POSIX signals: subprocess gives them as negative exit codes, a shell or launcher as 128 + N.
_SIGNALS = {
    2: ("SIGINT", _OUTSIDE),
    4: ("SIGILL", "crashed: this processor lacks an instruction that PyTorch uses"),
    6: ("SIGABRT", _CRASHED),
    7: ("SIGBUS", "crashed: a file that it had in use was cut short, or the disk is full"),
    8: ("SIGFPE", _CRASHED),
    9: ("SIGKILL", _NO_MEMORY),
    11: ("SIGSEGV", _CRASHED),
    15: ("SIGTERM", _OUTSIDE),
}
# NTSTATUS values (Microsoft, [MS-ERREF] 2.3.1), which are the exit codes of Windows.
_WINDOWS = {
    0xC0000005: ("access violation", _CRASHED),
    0xC0000017: ("no memory", _NO_MEMORY),
    0xC000012D: ("commitment limit", _NO_MEMORY),
    0xC000001D: ("illegal instruction", "crashed: this processor lacks an instruction that PyTorch uses"),
    0xC0000135: ("DLL not found", "could not start: a DLL that it needs is missing"),
    0xC0000142: ("DLL initialisation", "could not start: a DLL that it needs does not load"),
    0xC0000374: ("heap corruption", _CRASHED),
    0xC0000409: ("fast fail", _CRASHED),
    0xC000013A: ("Ctrl+C", _OUTSIDE),
}
# The launcher that PythonSlicer is says this of a process that a signal ended, and exits with 1 itself.
_LAUNCHER_SAYS = re.compile(r"exit(ed)? abnormally", re.IGNORECASE)


RESTARTS = "It starts again with the next request."


def explain_end(end: Ended, had_started: bool, report: list[str]) -> str:
    """A sentence or two on the end of a worker; report: the last lines of its stderr."""
    if end.not_started:
        return f"The engine could not be started: {end.not_started}. See that Python is where it was."
    why = describe_end(end.exit_code, report)
    if had_started:
        return f"The engine {why}. {RESTARTS}"
    last_words = next((f" Its last words: {line[:300]}" for line in reversed(report) if line.strip()), "")
    return f"The engine could not be started: it {why}.{last_words}"


def describe_end(exit_code: int | None, report: list[str]) -> str:
    """What the exit code of a process means, as a part of a sentence that begins with the process."""
    if exit_code is None:
        return "closed its pipe but does not end"
    signal = -exit_code if exit_code < 0 else exit_code - 128
    if signal in _SIGNALS:
        name, words = _SIGNALS[signal]
        return f"{words} ({name})"
    if exit_code & 0xFFFFFFFF in _WINDOWS:
        name, words = _WINDOWS[exit_code & 0xFFFFFFFF]
        return f"{words} (0x{exit_code & 0xFFFFFFFF:08X}, {name})"
    if exit_code != 0 and any(_LAUNCHER_SAYS.search(line) for line in report):
        return "crashed, or was ended by the system for lack of memory"
    if exit_code == 0:
        return "left although nobody asked it to"
    return f"ended with exit code {exit_code}"
