"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Precision(str, Enum):
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise typer.BadParameter(f"'{text}' is not a device: auto, cpu, cuda, cuda:1 or mps")
    return text


def _overlay(text: str | None) -> str | None:
    if text not in (None, "gif", "mp4"):
        raise typer.BadParameter(f"'{text}' is not an overlay: gif or mp4")
    return text


def by_scheme(
    texts: Sequence[str] | None, option: str, value: str, is_right: Callable[[str], bool] = bool
) -> dict[str, str]:
    """{scheme: what is given for it} of texts such as "head-19=3"; value: what stands for it in the option's form."""
    found = {}
    for text in texts or ():
        scheme, _, given = text.partition("=")
        if not scheme or not is_right(given):
            raise typer.BadParameter(f"'{text}' is not SCHEME={value}", param_hint=option)
        found[scheme] = given
    return found


def spacing_mm(text: str | None) -> tuple[float, float] | None:
    """ "0.1" or "0.1,0.12" (between columns, between rows) as (x, y) in mm."""
    if text is None:
        return None
    values = _numbers(text)
    if len(values) not in (1, 2) or min(values) <= 0:
        raise typer.BadParameter(f"'{text}' is not a spacing: give mm per pixel above 0, or two (x,y)")
    return values[0], values[-1]


def ruler(text: str | None) -> tuple[float, float, float, float, float] | None:
    """ "X1,Y1,X2,Y2,MM": the ends of a line in pixels and its length."""
    if text is None:
        return None
    values = _numbers(text)
    if len(values) != 5 or values[4] <= 0 or values[:2] == values[2:4]:
        raise typer.BadParameter(f"'{text}' is not a ruler: give X1,Y1,X2,Y2,MM: two points and their distance")
    return values


def frames(text: str) -> tuple[int, ...] | str:
    """ "0", "0,4,8" or "all"."""
    if text == "all":
        return text
    if not re.fullmatch(r"\d{1,9}(,\d{1,9})*", text):
        raise typer.BadParameter(f"'{text}' is not a frame: give its number from 0, several (0,4,8), or all")
    return tuple(dict.fromkeys(int(number) for number in text.split(",")))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (math.nan,)
    if not all(math.isfinite(value) for value in values):
        raise typer.BadParameter(f"'{text}' holds something that is not a number")
    return values


SchemeOption = Annotated[
    str,
    typer.Option("--scheme", "-s", help="Which landmarks: an id of 'medlandmark schemes list', or a scheme file."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Which model; else the embedded one, or an installed one that knows the scheme.",
        show_default=False,
    ),
]  # fmt: skip
DeviceOption = Annotated[
    str, typer.Option("--device", "-d", callback=_device, help="auto, cpu, cuda or mps; auto takes the fastest.")
]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="Arithmetic of the network.")]
FlipOption = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip", help="Average with the mirrored image: slower, steadier. Else as the model's card says.",
        show_default=False,
    ),
]  # fmt: skip
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", file_okay=False, help="Folder for the results; made if it is not there.")
]
FrameOption = Annotated[str, typer.Option("--frame", help="Of a cine: a number from 0, several (0,4,8), or 'all'.")]
FigureOption = Annotated[bool, typer.Option("--figure", help="Also draw the landmarks on the image: STEM.png.")]
OverlayOption = Annotated[
    str | None,
    typer.Option(metavar="gif|mp4", callback=_overlay, help="Of a clip: also a moving picture.", show_default=False),
]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an unexpected error.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
