"""How fast a training goes, and how much of its time it waits for images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Pace:
    """Counts images and seconds of training from when it was made until `end`.

    waited: seconds spent on laying out and changing images, in which the network stands still.
    """

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.ended: float | None = None
        self.waited = 0.0
        self.images = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        before = time.monotonic()
        yield
        self.waited += time.monotonic() - before

    def end(self) -> None:
        """The training is over; what follows, such as a validation, does not count."""
        self.ended = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning, whatever came after the end."""
        return time.monotonic() - self.started

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    @property
    def images_per_second(self) -> float:
        return self.images / max(self.seconds, 1e-9)

    @property
    def waiting_share(self) -> float:
        return self.waited / max(self.seconds, 1e-9)
