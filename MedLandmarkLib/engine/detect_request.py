"""What a detection is asked for: checked where it is asked and again where it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import EngineError

PRECISIONS = ("fp32", "bf16", "fp16")
CEPHALOGRAM = "cephalogram"  # among the kinds of a projection: from the side, about the mid-sagittal plane


@dataclass(frozen=True)
class DetectRequest:
    """The fields of a detection's request, named as the arguments of `detect`; `kind` is the request's own.

    image: the path of a file, or the fields of an image whose pixels lie in a file (`image_exchange`).
    frames: frame numbers from 0, or "all". slice_index: a volume's stored slice, from 0.
    plane: instead of a slice, the fields of a cut through a volume (`Plane.to_fields`).
    directions: of the planes that sweep the whole volume, one or more of `plane.DIRECTIONS`.
    projection: {"kind", "plane", "depth_mm"} of a slab that is seen along its plane's normal (`plane.projection`),
    depth_mm None for all of the volume; or {"kind": "cephalogram"}.
    Raises EngineError that names the field and its value.
    """

    image: str | dict[str, Any]
    scheme: str
    model: str = "lite"
    device: str = "auto"
    precision: str = "fp32"
    flip: bool | None = None
    frames: str | tuple[int, ...] = (0,)
    slice_index: int | None = None
    plane: dict[str, Any] | None = None
    directions: tuple[str, ...] | None = None
    projection: dict[str, Any] | None = None

    @property
    def kind(self) -> str:
        """The job that does it: "detect", "detect_volume" or "detect_projection"."""
        if self.directions is not None:
            return "detect_volume"
        return "detect" if self.projection is None else "detect_projection"

    def __post_init__(self) -> None:
        _require(isinstance(self.image, (str, dict)) and bool(self.image), "image", self.image, "a path or an image")
        for name in ("scheme", "model", "device"):
            value = getattr(self, name)
            _require(isinstance(value, str) and bool(value), name, value, "a name")
        _require(self.precision in PRECISIONS, "precision", self.precision, f"one of {', '.join(PRECISIONS)}")
        _require(self.flip is None or isinstance(self.flip, bool), "flip", self.flip, "true, false or null")
        _require(self.slice_index is None or _is_index(self.slice_index), "slice_index", self.slice_index, "a number")
        is_plane = isinstance(self.plane, Mapping) and set(self.plane) == {"plane_to_ras", "size_wh"}
        _require(self.plane is None or is_plane, "plane", self.plane, "the fields of a plane")
        self._check_volume_fields()
        if self.frames != "all":
            is_numbers = isinstance(self.frames, Iterable) and not isinstance(self.frames, str)
            frames = tuple(self.frames) if is_numbers else ()
            _require(bool(frames) and all(map(_is_index, frames)), "frames", self.frames, "'all' or frame numbers")
            object.__setattr__(self, "frames", tuple(int(frame) for frame in frames))

    def _check_volume_fields(self) -> None:
        if self.directions is not None:
            is_names = isinstance(self.directions, (list, tuple)) and bool(self.directions)
            is_names = is_names and all(isinstance(name, str) for name in self.directions)
            _require(is_names, "directions", self.directions, "one or more directions")
            object.__setattr__(self, "directions", tuple(self.directions))
        if self.projection is not None:
            given = self.projection if isinstance(self.projection, Mapping) else {}
            names = {"kind"} if given.get("kind") == CEPHALOGRAM else {"kind", "plane", "depth_mm"}
            _require(set(given) == names, "projection", self.projection, "the fields of a projection")
        ways = [self.slice_index, self.plane, self.directions, self.projection]
        given_ways = sum(way is not None for way in ways)
        _require(given_ways <= 1, "target", given_ways, "one of slice_index, plane, directions and projection")

    def to_fields(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_fields(cls, given: Mapping[str, Any]) -> DetectRequest:
        known = {one.name for one in fields(cls)}
        unknown, missing = sorted(set(given) - known), sorted({"image", "scheme"} - set(given))
        if unknown or missing:
            raise EngineError(f"The fields of a detection are wrong: {unknown} unknown, {missing} missing.")
        return cls(**given)


def _is_index(value: Any) -> bool:
    # numpy's integers are no int, but count as they do
    return hasattr(value, "__index__") and not isinstance(value, bool) and int(value) >= 0


def _require(is_right: bool, name: str, value: Any, wanted: str) -> None:
    if not is_right:
        raise EngineError(f"A detection's {name} is {str(value)[:80]!r}; it must be {wanted}.")
