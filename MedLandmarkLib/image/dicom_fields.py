"""Attributes of a DICOM header as plain numbers, at the top level or in the functional groups of an enhanced image."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from ..errors import ImageError


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """The values of an attribute as floats; None where it is absent or empty.

    Raises ImageError when a value is no number, or when there are not `count` of them.
    """
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return None
        values = tuple(float(item) for item in (value if isinstance(value, (MultiValue, list, tuple)) else [value]))
    except (TypeError, ValueError) as error:
        raise ImageError(f"its DICOM attribute {keyword} does not hold numbers ({error}).") from None
    if count is not None and len(values) != count:
        raise ImageError(f"its DICOM attribute {keyword} has {len(values)} value(s) where {count} are expected.")
    return values or None


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first value of an attribute, or None."""
    values = numbers(dataset, keyword)
    return values[0] if values else None


def whole_number(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """The first value of an attribute as an int. Raises ImageError when it is absent and there is no default."""
    value = number(dataset, keyword)
    if value is None:
        if default is None:
            raise ImageError(f"its DICOM header lacks {keyword}: it holds no picture, or was cut.")
        return default
    if value != int(value):
        raise ImageError(f"its DICOM attribute {keyword} is {value}, not a whole number.")
    return int(value)


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty where it is absent."""
    value = dataset.get(keyword)
    return [item for item in value if isinstance(item, Dataset)] if value else []


def group_of_frame(dataset: Dataset, frame: int, keyword: str) -> Dataset:
    """The functional group (PS3.3 C.7.6.16) of a frame: its own, else the shared one, else the image's top level."""
    for groups, index in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        holders = dataset.get(groups)
        if holders and index < len(holders) and (found := items(holders[index], keyword)):
            return found[0]
    return dataset
