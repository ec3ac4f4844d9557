"""What the steps of a long work tell their caller, and ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import DetectionCancelled

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Watch:
    """How far the work is, and whether to stop it: called between the steps of an optimisation as well."""

    progress: Progress | None = None
    should_stop: Callable[[], bool] | None = None

    def tell(self, fraction: float, text: str) -> None:
        """Raises DetectionCancelled where the caller wants no more."""
        if self.should_stop and self.should_stop():
            raise DetectionCancelled("Detection was stopped before it was complete.")
        if self.progress:
            self.progress(fraction, text)

    def part(self, first: float, last: float) -> Watch:
        """A watch over a part of the work."""
        if self.progress is None:
            return self
        whole = self.progress
        return Watch(lambda fraction, text: whole(first + fraction * (last - first), text), self.should_stop)
