"""The client's jobs: those that wait, and the one that the worker has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

from ..errors import EngineError


@dataclass(eq=False)
class ClientJob:
    """One request on its way.

    is_ready: its temporary file is written. is_dropped: nobody wants it any more. cancel_at: when a running job that
    was cancelled is given up on, seconds of the monotonic clock. frames: what has come of a result in parts. finish_s:
    how long it may take, after a cancel, to end with a result of its own; None where a cancelled job has none.
    """

    id: int
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    file: Path | None = None
    is_ready: bool = True
    is_dropped: bool = False
    cancel_at: float | None = None
    frames: list[Any] = field(default_factory=list)
    finish_s: float | None = None


@dataclass(frozen=True)
class FileWritten:
    """The temporary file of a job is there; error says why where it is not."""

    job: ClientJob
    error: str = ""


class TemporaryFiles:
    """The files that carry pixels to the worker, in a folder of their own that goes with its owner.

    Windows removes no file that another process has open: what could not be removed is tried again.
    """

    def __init__(self, inbox: SimpleQueue) -> None:
        self._inbox = inbox
        self._folder: TemporaryDirectory | None = None
        self._to_remove: list[Path] = []

    def job(self, number: int, kind: str) -> ClientJob:
        """A job whose file is still to be written. Raises EngineError where there is no place for temporary files."""
        try:
            return ClientJob(number, kind, file=self.path_for(number), is_ready=False)
        except OSError as error:
            raise EngineError(f"There is no place for temporary files: {error}.") from error

    def path_for(self, job: int) -> Path:
        """Where the file of a job is to be. Raises OSError where there is no place for temporary files."""
        if self._folder is None or not Path(self._folder.name).is_dir():
            self._folder = TemporaryDirectory(prefix="medlandmark-", ignore_cleanup_errors=True)
        return Path(self._folder.name, f"{job}.npy")

    def write(self, job: ClientJob, write: Callable[[Path, Callable[[], bool]], None]) -> None:
        """Call `write(path, is_dropped)` from a thread, then put (None, FileWritten) into the inbox."""

        def run() -> None:
            error = ""
            try:
                write(job.file, lambda: job.is_dropped)
            except Exception as problem:  # whatever it is, it is the job that fails, with this message
                error = f"The pixels could not be handed to the engine: {problem}."
            self._inbox.put((None, FileWritten(job, error)))

        threading.Thread(target=run, name="engine pixels", daemon=True).start()

    def remove(self, job: ClientJob) -> None:
        if job.file is not None:
            self._to_remove.append(job.file)
        self.sweep()

    def sweep(self) -> None:
        """Remove what is no longer needed."""
        kept = []
        for path in self._to_remove:
            try:
                path.unlink(missing_ok=True)
            except OSError:
                kept.append(path)  # open in the worker, which is about to leave it
        self._to_remove = kept

    def remove_all(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        self._to_remove = []
