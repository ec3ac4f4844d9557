"""The engine as a GUI sees it: methods that never wait, and signals that come on the GUI's own thread."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from .client_jobs import ClientJob, FileWritten, TemporaryFiles
from .clip_exchange import clip_fields, write_pictures
from .detect_request import DetectRequest
from .image_exchange import image_fields, require_sendable, write_pixels
from .link import Lost, WorkerLink
from .process import worker_environment
from .protocol import Cancel, Cancelled, Failure, Frames, Hello, Message, Progress, Request, Result
from .signal import Signal

if TYPE_CHECKING:
    from ..image import Image
    from ..image.clip import Clip
    from ..plane import Plane

POLL_INTERVAL_MS = 30  # a good interval for the timer that calls poll()
# Slicer's GUI thread may keep Python's lock while no Python runs; the threads that read the pipes get it only here.
_HAND_OVER_S = 0.002
_POLL_BUDGET_S = 0.005


class EngineClient:
    """Sends jobs to a worker process, one at a time, and reports by signals.

    The worker starts with the first job or with `start`. Nothing here waits for it: a timer of the GUI calls `poll`
    every POLL_INTERVAL_MS, and all signals are emitted from there, on the caller's thread. Each job ends with exactly
    one of `finished(job, result)`, `failed(job, message, details)` and `cancelled(job)`; `progress(job, fraction,
    text)` comes before, with a fraction that never falls. `started()` says that the worker is there, and
    `stopped(message)` that it went although nobody asked it to: what happened, in plain words.

    Cancel: the worker asks itself between steps whether to stop. Work that cannot ask (one long step of a network, the
    loading of a model) is ended with its process after `cancel_after_s`, so that a cancel never takes a second; the
    next request starts a new worker, which loads its model again. A worker that dies takes only the job that it had
    with it: those that wait go to the next one.

    executable: the Python to run; None is the one that runs here. arguments: how it becomes the worker. environment:
    its environment variables; None is a copy of this process's own. hang_after_s: a busy worker that says nothing for
    so long is taken for dead; loading PyTorch from a cold disk may keep it silent for many seconds.
    """

    def __init__(
        self,
        executable: str | os.PathLike[str] | None = None,
        arguments: Sequence[str] = ("-m", "MedLandmarkLib.engine"),
        environment: Mapping[str, str] | None = None,
        *,
        cancel_after_s: float = 0.7,
        hang_after_s: float = 60.0,
    ) -> None:
        self.started = Signal()
        self.progress = Signal("job", "fraction", "text")
        self.finished = Signal("job", "result")
        self.failed = Signal("job", "message", "details")
        self.cancelled = Signal("job")
        self.stopped = Signal("message")
        self._cancel_after_s = cancel_after_s
        self._inbox: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
        self._link = WorkerLink(
            [os.fspath(executable or sys.executable), *arguments],
            worker_environment(os.environ if environment is None else environment),
            self._inbox,
            hang_after_s,
        )
        self._files = TemporaryFiles(self._inbox)
        self._jobs: deque[ClientJob] = deque()  # in their order; the first may be the one that runs
        self._running: ClientJob | None = None
        self._emissions: deque[tuple[Any, ...]] = deque()
        self._last_id = 0

    def start(self) -> None:
        """Start the worker where it does not run, so that the first job need not wait for it."""
        self._link.start()

    def detect(
        self,
        image: Image | str | os.PathLike[str],
        scheme: str,
        model: str = "lite",
        *,
        device: str = "auto",
        precision: str = "fp32",
        flip: bool | None = None,
        frames: Iterable[int] | str = (0,),
        slice_index: int | None = None,
        plane: Plane | None = None,
        directions: Sequence[str] | None = None,
        projection: Mapping[str, Any] | None = None,
    ) -> int:
        """Ask for the landmarks of an image, with the arguments of `MedLandmarkLib.detect`; the number of the job.

        image: the path of a file, or an Image, whose pixels go to the worker by a temporary file, which is written from
        a thread and removed after the job: leave the array alone until then. The result is the document of
        `STEM.landmarks.json` (Resources/Landmarks-schema.json). plane: instead of a slice, a cut through a volume;
        directions: the whole volume, and projection: a slab of it, as in `DetectRequest`.
        Raises EngineError for arguments that make no sense; all else comes by `failed`.
        """
        settings = {"model": model, "device": device, "precision": precision, "flip": flip}
        settings |= {"frames": frames, "slice_index": slice_index}
        settings |= {"plane": None if plane is None else plane.to_fields()}
        settings |= {"directions": directions, "projection": projection}
        if isinstance(image, (str, os.PathLike)):
            path = os.path.abspath(os.path.expanduser(image))  # the worker works in another folder
            asked = DetectRequest(path, scheme, **settings)
            return self.request(asked.kind, asked.to_fields())
        require_sendable(image)
        job = self._files.job(self._next_id(), "detect")
        asked = DetectRequest(image_fields(image, job.file), scheme, **settings)
        job.kind, job.fields = asked.kind, asked.to_fields()
        self._files.write(job, partial(write_pixels, image.pixels))
        return self._add(job)

    def detect_clip(self, clip: Clip, scheme: str, model: str = "lite", *, device: str = "auto") -> int:
        """Ask for the landmarks of a clip; the number of the job. The result is that of `clip_document`.

        The pictures go to the worker by a temporary file: leave what they lie in alone until the job is over.
        """
        job = self._files.job(self._next_id(), "detect_clip")
        job.fields = DetectRequest(clip_fields(clip, job.file), scheme, model, device, frames="all").to_fields()
        self._files.write(job, partial(write_pictures, clip))
        return self._add(job)

    def request(self, kind: str, fields: Mapping[str, Any] | None = None) -> int:
        """Ask for a job of any kind that the worker knows (`standard_jobs`); the number of the job."""
        return self._add(ClientJob(self._next_id(), kind, dict(fields or {})))

    def cancel(self, job: int) -> None:
        """Stop a job; `cancelled` comes within a second, or within `finish_s` its best result so far, unless cancelled
        again. Without effect where it is over."""
        for one in tuple(self._jobs):
            if one.id != job:
                continue
            if one is not self._running:
                self._end(one, self.cancelled)
            elif one.cancel_at is None:
                one.cancel_at = time.monotonic() + (one.finish_s or self._cancel_after_s)
                self._link.send(Cancel(job))
            elif one.finish_s is not None:
                one.cancel_at, one.finish_s = time.monotonic(), None

    def restart(self) -> None:
        """End the worker, with the job that it has, and start another; the jobs that wait go to the new one."""
        if self._running is not None:
            self._end(self._running, self.cancelled)
        self._link.drop()
        self._link.start()

    def stop(self) -> None:
        """Cancel all jobs and let the worker leave; for when the module is closed. It may be started again."""
        for job in tuple(self._jobs):
            self._end(job, self.cancelled)
        self._link.leave()
        self._files.remove_all()
        time.sleep(_HAND_OVER_S)  # for the thread that tells the worker: perhaps nobody polls any more

    @property
    def is_running(self) -> bool:
        """Whether there is a worker process, were it still about to start."""
        return self._link.is_running

    @property
    def is_busy(self) -> bool:
        """Whether any job is not over, or a signal is still to come."""
        return bool(self._jobs or self._emissions)

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker; None where there is none."""
        return self._link.pid

    @property
    def last_error_report(self) -> str:
        """The last 200 lines that the worker, or the one before where none runs, wrote to stderr."""
        return self._link.report

    def poll(self) -> None:
        """Take what the worker said, and emit the signals.

        It takes a few milliseconds, besides what the slots take. An exception of a slot is raised here, once all slots
        of that signal were called; the signals that are still to come wait for the next call.
        """
        began = time.monotonic()
        self._listen(began + _POLL_BUDGET_S)
        self._obey_cancel()
        self._dispatch()
        self._files.sweep()
        while self._emissions and time.monotonic() < began + 2 * _POLL_BUDGET_S:
            signal, *values = self._emissions.popleft()
            signal.emit(*values)

    def _listen(self, until: float) -> None:
        hand_over_s = _HAND_OVER_S if self._jobs else _HAND_OVER_S / 10
        while time.monotonic() < until:
            try:
                sender, event = self._inbox.get(self._link.is_running or bool(self._jobs), hand_over_s)
            except Empty:
                lost = self._link.watch(is_busy=self._running is not None)
                if lost:
                    self._lose(lost)
                return
            if isinstance(event, FileWritten):
                self._take_file(event)
                continue
            news = self._link.understand(sender, event, self._running.id if self._running else None)
            if isinstance(news, Lost):
                self._lose(news)
            elif isinstance(news, Hello):
                self._emissions.append((self.started,))
            elif news is not None and self._running is not None:
                self._take_news(self._running, news)

    def _take_news(self, job: ClientJob, news: Message) -> None:
        is_unwanted = job.cancel_at is not None and job.finish_s is None
        if isinstance(news, Cancelled) or (is_unwanted and isinstance(news, (Result, Failure))):
            self._end(job, self.cancelled)
        elif isinstance(news, Progress) and not is_unwanted:
            self._emissions.append((self.progress, job.id, news.fraction, news.text))
        elif isinstance(news, Frames):
            job.frames += news.frames
        elif isinstance(news, Result):
            result = {**news.result, "frames": job.frames + news.result["frames"]} if job.frames else news.result
            self._end(job, self.finished, result)
        elif isinstance(news, Failure):
            self._end(job, self.failed, news.message, news.details)

    def _take_file(self, event: FileWritten) -> None:
        event.job.is_ready = True
        if event.job.is_dropped:
            self._files.remove(event.job)
        elif event.error:
            self._end(event.job, self.failed, event.error, "")

    def _lose(self, lost: Lost) -> None:
        """The job of a lost worker fails, or all do where it never came to work: the next would not either.

        A worker that greets and is lost before it takes the job that waits costs that job: else one that always does so
        would be started for ever.
        """
        jobs = tuple(self._jobs)
        if lost.had_started:
            jobs = (self._running,) if self._running else tuple(job for job in jobs[:1] if job.is_ready)
        for job in jobs:
            if job.cancel_at is not None:
                self._end(job, self.cancelled)
            else:
                self._end(job, self.failed, lost.message, lost.report)
        self._emissions.append((self.stopped, lost.message))

    def _obey_cancel(self) -> None:
        job = self._running
        if job is not None and job.cancel_at is not None and time.monotonic() >= job.cancel_at:
            self._end(job, self.cancelled)
            self._link.drop()

    def _dispatch(self) -> None:
        """Give the worker the first job, if it has none; start it where it does not run."""
        if self._running is not None or not self._jobs or not self._jobs[0].is_ready:
            return
        self._link.start()
        if not self._link.has_greeted:
            return
        job = self._jobs[0]
        try:
            self._link.send(Request(job.id, job.kind, job.fields, () if job.file is None else (str(job.file),)))
        except EngineError as error:
            self._end(job, self.failed, str(error), "")
            return
        self._running = job

    def _end(self, job: ClientJob, signal: Signal, *values: Any) -> None:
        job.is_dropped = True
        self._jobs.remove(job)
        if job is self._running:
            self._running = None
        if job.is_ready:  # else its file is still being written, and is removed once the writer has heard
            self._files.remove(job)
        self._emissions.append((signal, job.id, *values))

    def _add(self, job: ClientJob) -> int:
        self._jobs.append(job)
        self._dispatch()
        return job.id

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
