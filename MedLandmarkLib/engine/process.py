"""A worker process and the threads that speak to it, so that nobody else ever waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from ..errors import EngineError
from .protocol import Hello, Message, Shutdown, decode, encode

REPORT_LINES = 200  # of stderr, kept for the error report
_LONGEST_REPORT_LINE = 2000
_PIECE_BYTES = 1 << 16
_LONGEST_LINE_BYTES = 1 << 28  # beyond any result; garbage without a newline must not fill the memory
_NOISE_LINES = 100  # a launcher may say something on stdout before Python runs
_LEAVE_S = 3.0  # a worker that closed its stdout, or was asked to leave, has this long


@dataclass(frozen=True)
class Garbled:
    """The worker sent what is no message."""

    error: EngineError


@dataclass(frozen=True)
class Ended:
    """The process is gone. exit_code: as of subprocess; None where it does not end. not_started: why it never ran."""

    exit_code: int | None
    not_started: str = ""


Event = Message | Garbled | Ended


class WorkerProcess:
    """Starts `command` and exchanges messages with it; all events go to `inbox` as (this, event).

    Three threads of its own: one starts the process and reads its stdout, one writes its stdin, one reads its stderr.
    No method waits. The process leads a group of its own, so that ending it reaches the Python that a launcher such as
    PythonSlicer started, and so that Ctrl+C in a terminal does not.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], inbox: SimpleQueue) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._inbox = inbox
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.Lock()  # guards the three below
        self._process: subprocess.Popen | None = None
        self._is_unwanted = False
        self._is_over = False
        self._worker_pid: int | None = None
        self._report: deque[str] = deque(maxlen=REPORT_LINES)
        threading.Thread(target=self._live, name="engine", daemon=True).start()

    def send(self, message: Message) -> None:
        """Raises EngineError where the message holds what JSON cannot say."""
        self._outbox.put(encode(message))

    @property
    def report(self) -> list[str]:
        """The last lines that the worker wrote to stderr."""
        return list(self._report)

    @property
    def pid(self) -> int | None:
        """Of the worker itself, as it said in its hello, or of the process that was started."""
        return self._worker_pid or (self._process.pid if self._process else None)

    def leave(self) -> None:
        """Ask the worker to leave; it is ended where it has not left after some seconds."""
        self.send(Shutdown())
        self._outbox.put(None)
        timer = threading.Timer(_LEAVE_S, self.kill)
        timer.daemon = True
        timer.start()

    def kill(self) -> None:
        """End the process, and what it started, at once."""
        with self._lock:
            self._is_unwanted = True
            self._outbox.put(None)  # its stdin closes, should a launcher stand between
            if self._process is None or self._is_over:
                return
            _end_group(self._process, self._worker_pid)

    def _live(self) -> None:
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd=library_folder(),
                **_PLATFORM_OPTIONS,
            )
        except (OSError, ValueError) as error:
            self._tell(Ended(None, not_started=f"{self._command[0]}: {getattr(error, 'strerror', None) or error}"))
            return
        with self._lock:
            self._process = process
            if self._is_unwanted:
                _end_group(process, None)
        threading.Thread(target=self._write, args=(process.stdin,), name="engine stdin", daemon=True).start()
        errors = threading.Thread(target=self._read_errors, args=(process.stderr,), name="engine stderr", daemon=True)
        errors.start()
        with process.stdout as stdout:
            self._read(stdout)
        self._bury(process, errors)

    def _bury(self, process: subprocess.Popen, errors: threading.Thread) -> None:
        """Wait for the end of a process whose stdout has ended, and tell of it."""
        with self._lock:
            self._is_over = True  # from here on nobody else may end it: its id is free once it was waited for
        self._outbox.put(None)
        exit_code = None
        try:
            exit_code = process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            _end_group(process, None)
            process.wait()
        errors.join(1.0)  # its last words
        self._tell(Ended(exit_code))

    def _read(self, stdout: BinaryIO) -> None:
        """Pass on messages until stdout ends, or until one cannot be understood: then the process is ended."""
        noise, is_greeted = 0, False
        for line in _lines(stdout):
            if not is_greeted and not line.startswith(b"{") and noise < _NOISE_LINES:
                self._note(line)
                noise += 1
                continue
            try:
                message = decode(line)
            except EngineError as error:
                self._tell(Garbled(error))
                self.kill()
                return
            if isinstance(message, Hello):
                is_greeted, self._worker_pid = True, message.pid
            self._tell(message)

    def _read_errors(self, stderr: BinaryIO) -> None:
        with stderr:
            while line := stderr.readline(_LONGEST_REPORT_LINE):
                self._note(line)

    def _note(self, line: bytes) -> None:
        self._report.append(line.decode("utf-8", "backslashreplace").rstrip())

    def _write(self, stdin: BinaryIO) -> None:
        try:
            with stdin:
                while (line := self._outbox.get()) is not None:
                    stdin.write(line)
                    stdin.flush()
        except OSError:
            return  # the worker is gone; whoever reads its stdout says so

    def _tell(self, event: Event) -> None:
        self._inbox.put((self, event))


def library_folder() -> Path:
    """The folder that holds MedLandmarkLib, so that a worker imports this library and no other."""
    return Path(__file__).resolve().parents[2]


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of these environment variables, with the library on Python's path."""
    paths = [str(library_folder()), environment.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _lines(stdout: BinaryIO) -> Iterator[bytes]:
    """Lines of any length; one that is no JSON object, or is endless, is given as far as it was read."""
    pieces: list[bytes] = []
    size = 0
    while piece := stdout.readline(_PIECE_BYTES):
        pieces.append(piece)
        size += len(piece)
        if piece.endswith(b"\n") or not pieces[0].startswith(b"{") or size > _LONGEST_LINE_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    # What is left when the process ends in the middle of a line is no message.


def _end_group(process: subprocess.Popen, worker_pid: int | None) -> None:
    """End a process that was started here and has not been waited for, and the worker behind it."""
    if os.name == "posix":
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # macOS refuses where only the dead are left
            return  # it has just gone by itself
        return
    process.kill()
    if worker_pid not in (None, process.pid):  # its stdout is open still, so the id is its own
        try:
            os.kill(worker_pid, signal.SIGTERM)
        except OSError:
            return  # it has just gone by itself


_PLATFORM_OPTIONS: dict[str, object] = (
    {"start_new_session": True} if os.name == "posix" else {"creationflags": subprocess.CREATE_NO_WINDOW}
)
