"""Telling a worker that hangs from one that works."""

from __future__ import annotations

import time

# A computer that slept, or a GUI that stood still, must not look like a worker that hangs.
_LONGEST_STEP_S = 1.0


class Silence:
    """How long a worker that should speak has said nothing, seconds, as far as somebody listened."""

    def __init__(self, longest_s: float) -> None:
        self.longest_s = longest_s
        self._silent_s = 0.0
        self._last_time = time.monotonic()

    def is_broken(self) -> None:
        """The worker was heard, or need not speak."""
        self._silent_s, self._last_time = 0.0, time.monotonic()

    def is_too_long(self) -> bool:
        """To be asked again and again, each time when all that the worker said has been heard."""
        now = time.monotonic()
        self._silent_s += min(now - self._last_time, _LONGEST_STEP_S)
        self._last_time = now
        return self._silent_s > self.longest_s
