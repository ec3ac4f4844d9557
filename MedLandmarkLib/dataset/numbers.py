"""Numbers in the files of a dataset, read with a place to name when they are none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .finding import Finding, error


class Place:
    """Where in a file something stands, and for which case; what is wrong there is added to `found`."""

    def __init__(self, text: str, found: list[Finding], case: str = "") -> None:
        self.text, self.found, self.case = text, found, case

    def fault(self, kind: str, what: str, advice: str = "", *, landmark: str = "", value: object = "") -> None:
        """Note a fault of this place."""
        self.found.append(error(kind, f"{self.text}: {what}", advice, case=self.case, landmark=landmark, value=value))

    def number(self, name: str, value: Any, *, kind: str = "coordinates", landmark: str = "") -> float | None:
        """A finite number from a text or a JSON value; None, and a fault, where it is none."""
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
        self.fault(kind, f"{name} is '{value}'", "it must be a number", landmark=landmark, value=value)
        return None

    def length(self, name: str, value: Any) -> int | None:
        """A whole number of pixels, 1 or more; None, and a fault, where it is none."""
        text = str(value)
        if not isinstance(value, bool) and text.isdecimal() and int(text) >= 1:
            return int(text)
        self.fault("size", f"{name} is '{value}'", "it must be a whole number of pixels", value=value)
        return None

    def spacing(self, values: Mapping[str, Any]) -> tuple[float, ...] | None:
        """mm per pixel along each axis, by the names of their fields; None where none is given or one is faulty."""
        if all(value in ("", None) for value in values.values()):
            return None
        numbers = tuple(self.number(name, value, kind="spacing") for name, value in values.items())
        if None in numbers:
            return None
        if min(numbers) <= 0:
            self.fault("spacing", f"spacing {numbers} must be above 0 mm", "leave it empty if unknown", value=numbers)
            return None
        return numbers
