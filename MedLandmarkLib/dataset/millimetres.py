"""Whether the millimetres beside pixel coordinates agree with the spacing (columns x_mm, y_mm of landmarks.csv)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .cases import Case
from .finding import Finding, error

# Rounded coordinates disagree by a fraction of a pixel; every mistake in the units by many pixels.
_TOLERANCE_PX = 0.5


def contradictions(path: Path, rows: Iterable[Mapping[str, str]], cases: Sequence[Case]) -> list[Finding]:
    """One finding for each case whose x_mm, y_mm are not origin + spacing * x, y.

    The origin stands in the columns origin_x_mm, origin_y_mm of cases.csv and is 0 where they are empty.
    """
    by_case: dict[str, list[tuple[float, ...]]] = {}
    for row in rows:
        numbers = tuple(_number(row.get(column, "")) for column in ("x", "y", "x_mm", "y_mm"))
        if np.isfinite(numbers).all():
            by_case.setdefault(row["case"], []).append(numbers)
    found = []
    for case in cases:
        if case.id in by_case and case.spacing_mm is not None:
            table = np.array(by_case[case.id])  # (N, 4): x, y, x_mm, y_mm
            finding = _contradiction(path, case, table[:, :2], table[:, 2:])
            found += [finding] if finding else []
    return found


def _contradiction(path: Path, case: Case, xy: np.ndarray, xy_mm: np.ndarray) -> Finding | None:
    spacing = np.array(case.spacing_mm)
    origin = np.nan_to_num([_number(case.attributes.get(f"origin_{axis}_mm", "")) for axis in "xy"])
    off_px = np.abs((xy_mm - origin) / spacing - xy).max(axis=1)
    wrong = off_px > _TOLERANCE_PX
    if not wrong.any():
        return None
    worst = int(off_px.argmax())
    what = (
        f"{path}: case '{case.id}': {int(wrong.sum())} of {len(xy)} rows have x_mm, y_mm that are not origin + spacing "
        f"* x, y: ({xy_mm[worst, 0]:g}, {xy_mm[worst, 1]:g}) mm stand beside ({xy[worst, 0]:g}, {xy[worst, 1]:g}) px "
        f"with a spacing of ({spacing[0]:g}, {spacing[1]:g}) mm"
    )
    advice = _explanation(xy, xy_mm - origin, spacing) or "correct the coordinates, or the spacing in cases.csv"
    return error("units", what, advice, case=case.id, value=f"{off_px[worst]:.1f} px")


def _explanation(xy: np.ndarray, xy_mm: np.ndarray, spacing: np.ndarray) -> str:
    """What was probably done wrong; empty where nothing usual fits."""
    if np.allclose(xy_mm, xy, rtol=1e-3, atol=0.01):
        return "the columns x, y hold millimetres, or x_mm, y_mm pixels"
    if np.allclose(xy_mm, xy[:, ::-1] * spacing, rtol=1e-2, atol=0.5):
        return "x and y are exchanged in one of the two"
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.nanmedian(xy_mm / (xy * spacing)))
    if math.isfinite(ratio) and ratio > 0 and np.allclose(xy_mm, xy * spacing * ratio, rtol=1e-2, atol=0.5):
        return f"the spacing would have to be {ratio:.4g} times as large"
    return ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
