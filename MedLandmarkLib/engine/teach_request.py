"""What a teaching is asked for: checked where it is asked and again where it is done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import EngineError


@dataclass(frozen=True)
class TeachJob:
    """The fields of a "teach" request.

    model_id: what the model is to be called. templates: {"image", "points"} each: the path of a file, or the fields of
    an image whose pixels lie in a file (`pictures_exchange`); and the pixel [x, y] of each annotated landmark by name.
    images: the unannotated ones, likewise, or paths of folders.
    scheme: id or path of a scheme; names: instead, the user's own landmarks in their order.
    method, effort, canvas_wh, seed: `TeachSettings`. device: as for a detection. folder: of the run; None is one in the
    user's folder, named after the model. install: put the model among the installed ones.
    Raises EngineError that names the field and its value.
    """

    model_id: str
    templates: tuple[dict[str, Any], ...]
    images: tuple[str | dict[str, Any], ...]
    scheme: str | None = None
    names: tuple[str, ...] | None = None
    method: str = "fusion"
    effort: float = 1.0
    canvas_wh: tuple[int, int] | None = None
    seed: int = 0
    device: str = "auto"
    folder: str | None = None
    install: bool = True

    def __post_init__(self) -> None:
        for name in ("model_id", "method", "device"):
            value = getattr(self, name)
            _require(isinstance(value, str) and bool(value), name, value, "a name")
        for name in ("templates", "images", "names", "canvas_wh"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        _require(isinstance(self.templates, tuple), "templates", self.templates, "a list")
        for template in self.templates:
            _require(_is_template(template), "template", template, "an image with its points")
        _require(isinstance(self.images, tuple), "images", self.images, "a list")
        for image in self.images:
            _require(_is_image(image), "image", image, "a path or an image")
        _require((self.scheme is None) != (self.names is None), "scheme", self.scheme, "given, or names instead of it")
        is_names = self.names is None or all(isinstance(name, str) for name in self.names)
        _require(is_names, "names", self.names, "a list of names")
        is_number = isinstance(self.effort, (int, float)) and math.isfinite(self.effort)
        _require(is_number, "effort", self.effort, "a number")
        is_size = self.canvas_wh is None or (len(self.canvas_wh) == 2 and all(map(_is_whole, self.canvas_wh)))
        _require(is_size, "canvas_wh", self.canvas_wh, "a width and a height in px")
        _require(_is_whole(self.seed), "seed", self.seed, "a whole number")

    def to_fields(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_fields(cls, given: Mapping[str, Any]) -> TeachJob:
        known = {one.name for one in fields(cls)}
        unknown, missing = sorted(set(given) - known), sorted({"model_id", "templates", "images"} - set(given))
        if unknown or missing:
            raise EngineError(f"The fields of a teaching are wrong: {unknown} unknown, {missing} missing.")
        return cls(**given)


def _is_image(value: Any) -> bool:
    return isinstance(value, (str, dict)) and bool(value)


def _is_template(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) != {"image", "points"} or not _is_image(value["image"]):
        return False
    points = value["points"]
    return isinstance(points, Mapping) and all(_is_point(point) for point in points.values())


def _is_point(value: Any) -> bool:
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    return is_pair and all(isinstance(number, (int, float)) and math.isfinite(number) for number in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _require(is_right: bool, name: str, value: Any, wanted: str) -> None:
    if not is_right:
        raise EngineError(f"A teaching's {name} is {str(value)[:80]!r}; it must be {wanted}.")
