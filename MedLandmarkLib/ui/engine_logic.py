"""What every logic that waits for the engine has: one job at a time, a timer that asks for messages, and signals."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ..engine import POLL_INTERVAL_MS, Signal
from ..errors import MedLandmarkError


class EngineLogic(ABC):
    """Runs one job of an engine at a time.

    Signals: progressed(fraction, text), failed(message, details), cancelled(). JOB names it in the log ("teaching").
    """

    JOB = "job"

    def __init__(self, scene: Any, engine: Any) -> None:
        import qt

        self.scene, self.engine = scene, engine
        self.progressed = Signal("fraction", "text")
        self.failed, self.cancelled = Signal("message", "details"), Signal()
        self._job: int | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self._poll)
        for signal, slot in (
            (engine.progress, self._onProgress), (engine.finished, self._onFinished),
            (engine.failed, self._onFailed), (engine.cancelled, self._onCancelled),
        ):  # fmt: skip
            signal.connect(slot)

    @property
    def isBusy(self) -> bool:
        """Whether a job is under way."""
        return self._job is not None

    def cancel(self) -> None:
        """Stop the job; `cancelled` comes within a second."""
        if self._job is not None:
            self.engine.cancel(self._job)

    def close(self) -> None:
        """Stop the engine; for when the module or the application is closed."""
        self._timer.stop()
        self.engine.stop()
        self._job = None

    @abstractmethod
    def _take(self, result: Mapping[str, Any]) -> None:
        """Use the result of the job that has just finished."""

    @property
    @abstractmethod
    def _busyText(self) -> str:
        """What the user is told who starts a job while another is under way."""

    def _requireIdle(self) -> None:
        if self.isBusy:
            raise MedLandmarkError(self._busyText)

    def _poll(self) -> None:
        self.engine.poll()
        if not self.engine.is_busy:
            self._timer.stop()

    def _onProgress(self, job: int, fraction: float, text: str) -> None:
        if job == self._job:
            self.progressed.emit(fraction, text)

    def _onFinished(self, job: int, result: Mapping[str, Any]) -> None:
        if job == self._job:
            self._job = None
            self._take(result)

    def _onFailed(self, job: int, message: str, details: str) -> None:
        if job == self._job:
            self._job = None
            logging.error(f"The {self.JOB} failed: {message}")
            self.failed.emit(message, details)

    def _onCancelled(self, job: int) -> None:
        if job == self._job:
            self._job = None
            self.cancelled.emit()
