"""What is wrong, or may be wrong, with a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import DatasetError

ERROR, WARNING = "error", "warning"

_MOST_LISTED = 200  # beyond, one and the same mistake is usually in every row


@dataclass(frozen=True)
class Finding:
    """One fault of a dataset.

    severity: "error" (what is stored contradicts itself or cannot be used) or "warning" (a person should look).
    kind: one word for what sort of fault it is; what: what is wrong, with its place; advice: what to do, or what must
    hold. case, landmark, value: whom it concerns, where there is one; several landmarks are joined by ", ".
    """

    severity: str
    kind: str
    what: str
    advice: str = ""
    case: str = ""
    landmark: str = ""
    value: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.advice}." if self.advice else f"{self.what}."

    def as_record(self) -> dict[str, str]:
        """The finding as plain data."""
        return asdict(self)


def error(kind: str, what: str, advice: str = "", *, case: str = "", landmark: str = "", value: object = "") -> Finding:
    """A finding that says that something cannot be used as it is."""
    return Finding(ERROR, kind, what, advice, case, landmark, str(value))


def warning(
    kind: str, what: str, advice: str = "", *, case: str = "", landmark: str = "", value: object = ""
) -> Finding:
    """A finding that a person should look at."""
    return Finding(WARNING, kind, what, advice, case, landmark, str(value))


def refusal(path: Path | str, findings: Sequence[Finding]) -> DatasetError:
    """The error that lists `findings`, one a line."""
    if len(findings) == 1:
        return DatasetError(str(findings[0]))
    lines = [str(finding) for finding in findings[:_MOST_LISTED]]
    left_out = len(findings) - len(lines)
    lines += [f"and {left_out} more; 'medlandmark dataset check' lists them all."] if left_out else []
    return DatasetError(f"{path}: {len(findings)} faults:\n  " + "\n  ".join(lines))
