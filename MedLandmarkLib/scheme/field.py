"""One value of a JSON file together with where it stands, so that a complaint can name the file, field and value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import SchemeError
from .definitions import suggestion

_ABSENT = object()


class Field:
    """A value in a JSON file. The readers below return it as what it must be, or raise SchemeError."""

    def __init__(self, value: Any, path: Path, where: str = ""):
        self.value = value
        self.path = path
        self.where = where

    @property
    def given(self) -> bool:
        return self.value is not _ABSENT

    def error(self, rule: str) -> SchemeError:
        """The error that says that this value breaks `rule`, a clause such as "must be a number"."""
        if not self.given:
            return SchemeError(f"{self.path}: {self.where} is missing; it {rule}.")
        shown = json.dumps(self.value, ensure_ascii=False)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        return SchemeError(f"{self.path}: {self.where or 'the file'} is {shown}; it {rule}.")

    def allow(self, *keys: str) -> None:
        """Raise unless this is an object without other keys than these: a misspelt key would be lost in silence."""
        if not isinstance(self.value, dict):
            raise self.error("must be an object in braces")
        for key in self.value:
            if key not in keys:
                where = f"{self.where}.{key}".lstrip(".")
                raise SchemeError(f"{self.path}: {where} is not a field of a scheme{suggestion(key, keys)}.")

    def __getitem__(self, key: str) -> Field:
        field = self.optional(key)
        if not field.given:
            raise SchemeError(f"{self.path}: {field.where} is missing.")
        return field

    def optional(self, key: str) -> Field:
        """The field under `key`, which may be absent: then `given` is False and readers return their default."""
        return Field(self.value.get(key, _ABSENT), self.path, f"{self.where}.{key}".lstrip("."))

    def items(self, at_least: int = 0) -> Iterator[Field]:
        """The fields of a list; none where the list is absent and may be empty."""
        if not self.given and at_least == 0:
            return
        if not isinstance(self.value, list) or len(self.value) < at_least:
            raise self.error(f"must be a list in brackets with at least {at_least} entries")
        for index, value in enumerate(self.value):
            yield Field(value, self.path, f"{self.where}[{index}]")

    def text(self, default: str | None = None) -> str:
        if not self.given and default is not None:
            return default
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.error("must be text")
        return self.value

    def choice(self, options: tuple[str, ...]) -> str:
        if self.value not in options:
            guess = suggestion(self.value, options) if isinstance(self.value, str) else ""
            raise self.error(f"must be one of {', '.join(options)}{guess}")
        return self.value

    def number(self, above: float | None = None) -> float:
        # Python's JSON reader takes whole numbers of any length; what exceeds a float would overflow later.
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)) or not abs(self.value) < 1e300:
            raise self.error("must be a number")
        if above is not None and self.value <= above:
            raise self.error(f"must be greater than {above:g}")
        return float(self.value)

    def whole(self, at_least: int) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < at_least:
            raise self.error(f"must be a whole number, {at_least} or more")
        return self.value

    def flag(self) -> bool:
        if not self.given:
            return False
        if not isinstance(self.value, bool):
            raise self.error("must be true or false")
        return self.value
