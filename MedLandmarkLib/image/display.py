"""From pixel values to the 8-bit picture that a reader sees and that the networks were trained on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import ImageError

SAMPLE_PIXELS = 1_000_000  # enough for a percentile, whatever the size of the volume


@dataclass(frozen=True)
class HighByte:
    """The upper eight bits, `v >> shift`: the rule of the reference pipeline for 16-bit files (OpenCV's imread)."""

    shift: int = 0

    def to_uint8(self, values: np.ndarray) -> np.ndarray:
        if values.dtype == np.uint8 and self.shift == 0:
            return values
        return np.clip(values >> self.shift, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Window:
    """A grey window. Functions LINEAR, LINEAR_EXACT and SIGMOID as in DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""

    center: float
    width: float
    function: str = "LINEAR"

    def __post_init__(self) -> None:
        if self.function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            raise ImageError(f"its VOI LUT function is '{self.function}'; known are LINEAR, LINEAR_EXACT and SIGMOID.")
        least = 1.0 if self.function == "LINEAR" else 0.0
        usable = np.isfinite(self.center) and np.isfinite(self.width) and self.width >= least and self.width > 0
        if not usable:
            raise ImageError(f"its grey window (center {self.center:g}, width {self.width:g}) is empty.")

    @classmethod
    def spanning(cls, low: float, high: float) -> Window:
        """The window that maps `low` to black and `high` to white."""
        return cls((low + high) / 2, high - low if high > low else 1.0, "LINEAR_EXACT")

    def to_uint8(self, values: np.ndarray) -> np.ndarray:
        # float32 is exact for 16-bit integers; wider integers and their differences need float64
        kind = np.float64 if values.dtype.itemsize > 2 and values.dtype.kind in "iuf" else np.float32
        values = values.astype(kind)
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (values - self.center) / self.width, -80, 80)
            unit = 1 / (1 + np.exp(exponent))
        elif self.function == "LINEAR_EXACT":
            unit = (values - self.center) / self.width + 0.5
        elif self.width == 1:  # the limit of the formula below: a step at center - 0.5
            unit = (values > self.center - 0.5).astype(kind)
        else:
            unit = (values - (self.center - 0.5)) / (self.width - 1) + 0.5
        return np.floor(np.clip(unit, 0, 1) * 255 + 0.5).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A table of DICOM (modality LUT, VOI LUT; PS3.3 C.11.1.1 and C.11.2.1.1): entry n is for the value first + n."""

    first: int
    entries: np.ndarray

    def look_up(self, values: np.ndarray) -> np.ndarray:
        """Entries for `values`; what lies outside the table gets its first or last entry."""
        indices = np.clip(np.floor(values).astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return self.entries[indices]

    def to_uint8(self, values: np.ndarray) -> np.ndarray:
        # The range is taken from the entries: descriptors that claim 16 bits for 12-bit tables are common, and a
        # valid table reaches its upper end.
        top = (1 << max(int(self.entries.max()).bit_length(), 1)) - 1
        return np.floor(self.look_up(values) * (255 / top) + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class Display:
    """Grey rule, then inversion where low values are to be shown white (MONOCHROME1)."""

    rule: HighByte | Window | LookupTable = field(default_factory=HighByte)
    inverted: bool = False

    def to_uint8(self, values: np.ndarray) -> np.ndarray:
        """Values of any shape as uint8 of the same shape."""
        picture = self.rule.to_uint8(values)
        return 255 - picture if self.inverted else picture

    @classmethod
    def for_pixels(cls, pixels: np.ndarray) -> Display:
        """8-bit values as they are; anything else by a window over its own range."""
        return cls(HighByte() if pixels.dtype == np.uint8 else robust_window(pixels))


def sampled(values: np.ndarray) -> np.ndarray:
    """About a million of the values, evenly taken: (n,)."""
    # An odd step does not stay on the same columns of a picture whose width is even.
    step = max(1, values.size // SAMPLE_PIXELS) | 1
    return values.reshape(-1)[::step] if values.size > SAMPLE_PIXELS else values.reshape(-1)


def robust_window(values: np.ndarray) -> Window:
    """The window from the 0.5th to the 99.5th percentile, which leaves out burnt-in text, metal and dead pixels.

    Raises ImageError for values that are no finite numbers; files and scenes are read without them.
    """
    low, high = np.percentile(sampled(values), (0.5, 99.5))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError("it holds values that are no finite numbers (NaN or infinite); replace them first.")
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return Window.spanning(float(low), float(high))
