"""A signal without Qt, so that the engine's client works in Slicer, in a script and in a test alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Signal:
    """Calls every connected function, in the order of connection, when it is emitted.

    arguments: what `emit` is called with, by name; their number is checked.
    """

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self._slots: list[Callable[..., Any]] = []

    def connect(self, slot: Callable[..., Any]) -> None:
        """Call `slot` at each emission; connecting it again changes nothing."""
        if slot not in self._slots:
            self._slots.append(slot)

    def disconnect(self, slot: Callable[..., Any]) -> None:
        """Stop calling `slot`. Raises ValueError where it is not connected."""
        if slot not in self._slots:
            raise ValueError(f"{slot!r} is not connected to this signal.")
        self._slots.remove(slot)

    def emit(self, *values: Any) -> None:
        """Call all slots; then the first exception that one of them raised is raised."""
        if len(values) != len(self.arguments):
            raise TypeError(f"This signal carries ({', '.join(self.arguments)}), not {len(values)} values.")
        first_error: Exception | None = None
        for slot in tuple(self._slots):
            try:
                slot(*values)
            except Exception as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error
