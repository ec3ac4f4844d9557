"""Ctrl-C as a request to end well: long runs stop after a whole step and can be resumed."""

from __future__ import annotations

import signal


class StopOnInterrupt:
    """Answers yes once Ctrl-C was pressed, so that the run ends after a whole step and can be resumed."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked
