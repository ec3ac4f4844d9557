"""What the engine's client and its worker say to each other: one JSON object per line, UTF-8, newline at the end.

The worker speaks first (`Hello`). The client sends `Request`s, each with an id of its own; every request ends with
exactly one `Result`, `Failure` or `Cancelled`. A long result comes in parts: `Frames` before the `Result`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import EngineError

PROTOCOL_VERSION = 2
HEARTBEAT_S = 1.0  # between two heartbeats of the worker


@dataclass(frozen=True)
class Hello:
    """The worker's first line. What a later protocol adds to it is passed over, so that it can name its version."""

    protocol: int
    library: str
    pid: int
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """Do a job. files: temporary files of the client, which the worker removes when the job is over."""

    id: int
    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cancel:
    """Stop a job, waiting or running, and say Cancelled."""

    id: int


@dataclass(frozen=True)
class Ping:
    """Answer with Pong."""


@dataclass(frozen=True)
class Pong:
    """The answer to Ping."""


@dataclass(frozen=True)
class Shutdown:
    """Leave now, whatever runs."""


@dataclass(frozen=True)
class Heartbeat:
    """The worker lives; job: what it works on, None when it is idle."""

    job: int | None


@dataclass(frozen=True)
class Progress:
    """fraction: 0..1 of the whole job, never less than before. text: what is being done.

    details: what a kind of job tells beyond that, for instance the phase of a teaching and its running estimate.
    """

    id: int
    fraction: float
    text: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Frames:
    """The next entries of the result's "frames", which the Result then leaves out."""

    id: int
    frames: list[Any]


@dataclass(frozen=True)
class Result:
    """The job is done."""

    id: int
    result: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """The job failed. kind: name of the exception. message: for the user. details: the traceback.

    id is None where a line could not be understood and so belongs to no job.
    """

    id: int | None
    kind: str
    message: str
    details: str = ""


@dataclass(frozen=True)
class Cancelled:
    """The job was stopped as asked."""

    id: int


Message = (
    Hello | Request | Cancel | Ping | Pong | Shutdown | Heartbeat | Progress | Frames | Result | Failure | Cancelled
)

_TYPES: dict[str, type] = {
    kind.__name__.lower(): kind
    for kind in (
        Hello, Request, Cancel, Ping, Pong, Shutdown, Heartbeat, Progress, Frames, Result, Failure, Cancelled
    )
}  # fmt: skip


def encode(message: Message) -> bytes:
    """One line. Raises EngineError where a value cannot be said in JSON (NaN and infinity cannot)."""
    content = {"type": type(message).__name__.lower()}
    content.update((one.name, getattr(message, one.name)) for one in fields(message))
    try:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    except (TypeError, ValueError) as error:
        raise EngineError(f"A {content['type']} message of the engine cannot be written as JSON: {error}.") from error


def decode(line: bytes) -> Message:
    """The message in a line. Raises EngineError that names the line, shortened, and what is wrong with it."""
    try:
        content = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
        if not isinstance(content, dict):
            raise ValueError(f"a message is a JSON object, not {type(content).__name__}")
        return _message(content)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"This is no message of the engine's protocol: {shortened(line)} ({error}).") from error


def shortened(line: bytes, length: int = 120) -> str:
    """The beginning of a line, readable whatever it holds."""
    text = line[: 4 * length].decode("utf-8", "backslashreplace").strip()
    return repr(text if len(text) <= length and len(line) <= 4 * length else text[:length] + "…")


def check_hello(hello: Hello, library: str) -> None:
    """Raises EngineError where the worker is of another version than the client, whose library version is `library`."""
    if (hello.protocol, hello.library) == (PROTOCOL_VERSION, library):
        return
    age = "another"
    if hello.protocol != PROTOCOL_VERSION:
        age = "an older" if hello.protocol < PROTOCOL_VERSION else "a newer"
    raise EngineError(
        f"The engine that was started is of {age} version: MedLandmark {hello.library}, protocol {hello.protocol}; "
        f"{library}, protocol {PROTOCOL_VERSION}, is needed. Restart Slicer after an update, and see that only one "
        "MedLandmark is installed."
    )


def _message(content: dict[str, Any]) -> Message:
    name = content.pop("type", None)
    if not isinstance(name, str) or name not in _TYPES:
        raise ValueError(f"its type is {name!r}")
    kind = _TYPES[name]
    known = {one.name: str(one.type) for one in fields(kind)}
    if kind is Hello:
        content = {key: value for key, value in content.items() if key in known}
    for key, value in content.items():
        if key not in known:
            raise ValueError(f"{name} has no '{key}'")
        if not _CHECKS[known[key]](value):
            raise ValueError(f"'{key}' of {name} is {shortened(repr(value).encode(), 40)}, not {known[key]}")
        if isinstance(value, list) and known[key].startswith("tuple"):
            content[key] = tuple(value)
    try:
        return kind(**content)
    except TypeError:
        missing = ", ".join(key for key in known if key not in content)
        raise ValueError(f"{name} lacks {missing}") from None


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_fraction(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= 1


# By the type as it is written in the dataclasses above; every float there is a fraction.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": _is_integer,
    "int | None": lambda value: value is None or _is_integer(value),
    "float": _is_fraction,
    "str": lambda value: isinstance(value, str),
    "dict[str, Any]": lambda value: isinstance(value, dict),
    "list[Any]": lambda value: isinstance(value, list),
    "tuple[str, ...]": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON knows")
