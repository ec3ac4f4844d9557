"""From stored values to what they measure (modality LUT) and how they are to be shown (VOI LUT or window)."""

from __future__ import annotations

import math

import numpy as np
from pydicom.dataset import Dataset

from ..errors import ImageError
from .dicom_fields import group_of_frame, items, number, numbers
from .display import Display, HighByte, LookupTable, Window, robust_window

# PS3.3 C.8.7.1.1.2: in these relationships the modality LUT of X-ray angiography leads back to beam intensity; it is
# not part of the way to the display.
_INTENSITY_RELATIONSHIPS = ("LOG", "DISP")
_X_RAY_ANGIOGRAPHY = ("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2")


def modality_values(dataset: Dataset, stored: np.ndarray) -> np.ndarray:
    """Values after the modality LUT (PS3.3 C.11.1), of stored values (frames, rows, columns, 1).

    Whole numbers stay whole where slope and intercept allow it; otherwise float32. Raises ImageError.
    """
    if _is_intensity_lut(dataset):
        return stored
    tables = items(dataset, "ModalityLUTSequence")
    if tables:
        return lookup_table(tables[0], signed=stored.dtype.kind == "i").look_up(stored)
    lines = [_rescale(dataset, frame) for frame in range(stored.shape[0])]
    if all(line == (1.0, 0.0) for line in lines):
        return stored
    if all(slope == 1.0 and intercept.is_integer() for slope, intercept in lines):
        shifts = np.array([int(intercept) for _, intercept in lines], np.int64)
        low, high = int(stored.min()) + shifts.min(), int(stored.max()) + shifts.max()
        kind = next((kind for kind in (np.int16, np.uint16, np.int32) if _fits(low, high, kind)), np.int64)
        return (stored.astype(np.int64) + shifts[:, None, None, None]).astype(kind)
    slopes, intercepts = np.array(lines, np.float32).T[..., None, None, None]
    return stored.astype(np.float32) * slopes + intercepts


def grey_display(
    dataset: Dataset, values: np.ndarray, stored: np.ndarray, *, inverted: bool
) -> tuple[Display, tuple[str, ...]]:
    """How values after the modality LUT are shown, and warnings.

    The first VOI LUT, else the first window, of the image or of its first frame. Without either, 8-bit values are
    shown as they are and others from their 0.5th to their 99.5th percentile, PixelPaddingValue left out. A window that
    leaves the picture blank is not used.
    """
    try:
        rule = _stated_rule(dataset, signed=values.dtype.kind in "if")
    except ImageError as error:
        return Display(_own_window(dataset, values, stored), inverted), (f"{_sentence(error)} {_NOT_USED}",)
    if rule is None:
        plain = values.dtype == np.uint8
        return Display(HighByte() if plain else _own_window(dataset, values, stored), inverted), ()
    middle = rule.to_uint8(values[len(values) // 2])
    if middle.min() == middle.max() and values[len(values) // 2].min() < values[len(values) // 2].max():
        warning = f"The header's grey window shows nothing but one grey. {_NOT_USED}"
        return Display(_own_window(dataset, values, stored), inverted), (warning,)
    return Display(rule, inverted), ()


_NOT_USED = "It is not used: the picture is shown from its 0.5th to its 99.5th percentile."


def lookup_table(item: Dataset, *, signed: bool) -> LookupTable:
    """The table of a modality or VOI LUT item. Raises ImageError when it is damaged."""
    descriptor = numbers(item, "LUTDescriptor", 3)
    data = item.get("LUTData")
    if descriptor is None or data is None:
        raise ImageError("a lookup table in its header has no descriptor or no data.")
    count, first, bits = (int(value) for value in descriptor)
    count = count % 65536 or 65536  # 0 stands for 65536
    if signed and first >= 32768:  # read as unsigned where the file left the representation open
        first -= 65536
    if isinstance(data, bytes):
        order = "<" if item.is_little_endian is not False else ">"
        packed = bits <= 8 and len(data) < 2 * count
        entries = np.frombuffer(data, np.uint8 if packed else np.dtype(f"{order}u2"))
    else:
        entries = np.array(data, np.int64) & 0xFFFF
    entries = entries[:count].astype(np.uint16)
    if len(entries) < count:
        raise ImageError(f"a lookup table in its header has {len(entries)} of {count} entries.")
    return LookupTable(first, entries)


def _stated_rule(dataset: Dataset, *, signed: bool) -> LookupTable | Window | None:
    """The VOI transformation that the header states, or None."""
    tables = items(dataset, "VOILUTSequence")
    if tables:
        return lookup_table(tables[0], signed=signed)
    holder = group_of_frame(dataset, 0, "FrameVOILUTSequence")
    center, width = number(holder, "WindowCenter"), number(holder, "WindowWidth")
    if center is None or width is None:
        return None
    return Window(center, width, str(holder.get("VOILUTFunction") or "LINEAR").strip().upper())


def _own_window(dataset: Dataset, values: np.ndarray, stored: np.ndarray) -> Window:
    """A window over the values' own range, without the padding around the picture (PS3.3 C.7.5.1.1.2)."""
    padding = number(dataset, "PixelPaddingValue")
    if padding is None:
        return robust_window(values)
    limit = number(dataset, "PixelPaddingRangeLimit")
    low, high = sorted((padding, padding if limit is None else limit))
    inside = (stored < low) | (stored > high)
    return robust_window(values[inside]) if inside.any() else robust_window(values)


def _rescale(dataset: Dataset, frame: int) -> tuple[float, float]:
    """(slope, intercept) of a frame. Raises ImageError when they are no numbers or the slope is zero."""
    holder = group_of_frame(dataset, frame, "PixelValueTransformationSequence")
    slope, intercept = number(holder, "RescaleSlope"), number(holder, "RescaleIntercept")
    slope, intercept = 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    if not math.isfinite(slope) or not math.isfinite(intercept) or slope == 0:
        raise ImageError(f"its rescale slope {slope:g} and intercept {intercept:g} make no values of its pixels.")
    return slope, intercept


def _is_intensity_lut(dataset: Dataset) -> bool:
    return (
        dataset.get("SOPClassUID") in _X_RAY_ANGIOGRAPHY
        and dataset.get("PixelIntensityRelationship") in _INTENSITY_RELATIONSHIPS
    )


def _fits(low: int, high: int, kind: type) -> bool:
    return np.iinfo(kind).min <= low and high <= np.iinfo(kind).max


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
