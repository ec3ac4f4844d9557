"""The kinds of job that a worker knows, and what a job is given while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import EngineError


class JobContext:
    """What a job sees of the worker: how to report progress, and whether it was asked to stop.

    keeps_result: set by a job whose result counts although it was asked to stop, such as the best model so far.
    """

    def __init__(self, report: Callable[..., None], should_stop: Callable[[], bool]) -> None:
        self._report = report
        self.should_stop = should_stop
        self.keeps_result = False
        self._fraction = 0.0

    def progress(self, fraction: float, text: str, **details: Any) -> None:
        """Report a fraction of the whole job; it is kept within 0..1 and never falls. details: `Progress.details`."""
        self._fraction = max(self._fraction, min(float(fraction), 1.0))
        if details:
            self._report(self._fraction, text, details)
        else:
            self._report(self._fraction, text)

    def part(self, start: float, stop: float) -> Callable[[float, str], None]:
        """A progress function for the part of the job that lies between two fractions."""
        return lambda fraction, text: self.progress(start + (stop - start) * fraction, text)


Job = Callable[[Mapping[str, Any], JobContext], dict[str, Any]]


class JobRegistry:
    """Functions by the kind of request that they answer.

    A function takes the request's fields and a JobContext and returns the result as plain data. It raises the
    library's errors for what the user must know, and DetectionCancelled when `context.should_stop()` says so.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._releases: list[Callable[[], None]] = []

    def register(self, kind: str, job: Job) -> None:
        """Answer requests of this kind with `job`, which takes the place of an earlier one."""
        self._jobs[kind] = job

    def on_low_memory(self, release: Callable[[], None]) -> None:
        """Call `release` when a job ran out of memory, to let go of what is kept for later jobs."""
        self._releases.append(release)

    def release_memory(self) -> None:
        for release in self._releases:
            release()

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self._jobs)

    def job(self, kind: str) -> Job:
        """The function for a kind. Raises EngineError with the kinds there are."""
        if kind not in self._jobs:
            raise EngineError(f"The engine knows no job '{kind}'. It knows: {', '.join(self._jobs)}.")
        return self._jobs[kind]
