"""The worker process: takes requests from stdin, does one job at a time, and answers on stdout.

Three threads: the main one does the jobs, one reads stdin, so that a cancel is heard and the end of stdin ends the
process at once, also in the middle of a job; one sends a heartbeat every second. Stdout belongs to the protocol
alone: whatever a library prints goes to stderr, which the client keeps for its error report.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO

from .. import __version__
from ..errors import DetectionCancelled, EngineError
from .failures import failure_of, is_out_of_memory
from .jobs import JobContext, JobRegistry
from .protocol import (
    HEARTBEAT_S,
    PROTOCOL_VERSION,
    Cancel,
    Cancelled,
    Frames,
    Heartbeat,
    Hello,
    Message,
    Ping,
    Pong,
    Progress,
    Request,
    Result,
    Shutdown,
    decode,
    encode,
)

# A client parses a line in one piece, during which its GUI stands still: 16 frames of 70 landmarks take 3 ms.
_FRAMES_PER_LINE = 16
_SECONDS_BETWEEN_PROGRESS = 0.05


def serve(registry: JobRegistry) -> None:
    """Be the worker until stdin ends or Shutdown comes. It does not return: the process ends."""
    requests, answers = _own_the_pipes()
    faulthandler.enable()  # a crash in native code leaves its stack on stderr
    Worker(requests, answers, registry).run()


def _own_the_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Stdin and stdout for the protocol alone; for everybody else stdin is empty and stdout is stderr.

    On Windows this also keeps the loading of a DLL from waiting for ever: some ask what stdin is, which is answered
    only when no other thread reads from it.
    """
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


class Worker:
    """One job at a time, in the order of arrival."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO, registry: JobRegistry) -> None:
        self._requests = requests
        self._answers = answers
        self._registry = registry
        self._writing = threading.Lock()
        self._changed = threading.Condition()  # guards the three below
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._stop_current = False

    def run(self) -> None:
        self._say(Hello(PROTOCOL_VERSION, __version__, os.getpid(), self._registry.kinds))
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        while True:
            request = self._next()
            self._say(self._answer(request))
            self._finish(request)

    def _next(self) -> Request:
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            self._current, self._stop_current = self._waiting.popleft(), False
            return self._current

    def _finish(self, request: Request) -> None:
        with self._changed:
            self._current = None
        _remove_files(request)

    def _answer(self, request: Request) -> Message:
        """Do the job; whatever it raises becomes a message, and the worker lives on."""
        try:
            importlib.invalidate_caches()  # a package may have been installed since the last job
            context = self._context(request)
            result = self._registry.job(request.kind)(request.fields, context)
            if self._stop_current and not context.keeps_result:
                return Cancelled(request.id)
            rest = self._send_frames(request.id, result)
            answer = Result(request.id, rest)
            encode(answer)
            return answer
        except DetectionCancelled:
            return Cancelled(request.id)
        except BaseException as error:
            failure = failure_of(request.id, error)
            was_memory = is_out_of_memory(error)
        # Only here: the exception held what fills the memory.
        if was_memory:
            self._registry.release_memory()
        return Cancelled(request.id) if self._stop_current else failure

    def _send_frames(self, job: int, result: dict[str, Any]) -> dict[str, Any]:
        frames = result.get("frames")
        if not isinstance(frames, list) or len(frames) <= _FRAMES_PER_LINE:
            return result
        for start in range(0, len(frames), _FRAMES_PER_LINE):
            self._say(Frames(job, frames[start : start + _FRAMES_PER_LINE]))
        return {**result, "frames": []}

    def _context(self, request: Request) -> JobContext:
        last_time, last_text = 0.0, None

        def report(fraction: float, text: str, details: dict[str, Any] | None = None) -> None:
            nonlocal last_time, last_text
            now = time.monotonic()
            if fraction < 1 and text == last_text and now - last_time < _SECONDS_BETWEEN_PROGRESS:
                return
            last_time, last_text = now, text
            self._say(Progress(request.id, fraction, text, details or {}))

        return JobContext(report, lambda: self._stop_current)

    def _listen(self) -> None:
        try:
            for line in self._requests:
                self._hear(line)
        except OSError as error:
            print(f"The pipe of the requests broke: {error}", file=sys.stderr)
        self._leave()

    def _hear(self, line: bytes) -> None:
        try:
            message = decode(line)
        except EngineError as error:
            self._say(failure_of(None, error))
            return
        if isinstance(message, Request):
            with self._changed:
                self._waiting.append(message)
                self._changed.notify()
        elif isinstance(message, Cancel):
            self._cancel(message.id)
        elif isinstance(message, Ping):
            self._say(Pong())
        elif isinstance(message, Shutdown):
            self._leave()
        else:
            self._say(failure_of(None, EngineError(f"A client does not say '{type(message).__name__}'.")))

    def _cancel(self, job: int) -> None:
        """Remove a job that waits, or mark the running one; a job that is over already had its answer."""
        with self._changed:
            if self._current is not None and self._current.id == job:
                self._stop_current = True
            waiting = [request for request in self._waiting if request.id == job]
            for request in waiting:
                self._waiting.remove(request)
        for request in waiting:
            _remove_files(request)
            self._say(Cancelled(job))

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            current = self._current
            self._say(Heartbeat(current.id if current else None))

    def _say(self, message: Message) -> None:
        line = encode(message)
        try:
            with self._writing:
                self._answers.write(line)
                self._answers.flush()
        except OSError:
            self._leave()  # nobody listens any more

    def _leave(self) -> None:
        """End the process now, in the middle of whatever it does; nothing is lost but the job."""
        with self._changed:
            requests = [*self._waiting, *([self._current] if self._current else [])]
        for request in requests:
            _remove_files(request)
        sys.stderr.flush()
        os._exit(0)


def _remove_files(request: Request) -> None:
    for path in request.files:
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:  # the client tries again
            print(f"{path} could not be removed: {error}", file=sys.stderr)
