"""The measurements of a clip in the scene: a table with one row per frame, and one with one row per value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..measure.cine import CineMeasurement
from ..measure.curves import Curve
from ..scheme import Scheme
from ..track import Track
from .hierarchy import place_belonging
from .measurements import KIND_KEY, TABLE_CLASS
from .nodes import RESULT_ROLE, nodes_with_role, one_modification

CURVES, VALUES = "curves", "values"
FRAME, TIME, PHASE, KEY_FRAME = "frame", "time (s)", "phase", "key frame"
END_DIASTOLE, END_SYSTOLE = "end-diastole", "end-systole"


class CurveTable:
    """A table node with one row per frame: its time, phase and key landmarks, and every curve with its status.

    A frame without a value has NaN. The columns END_DIASTOLE and END_SYSTOLE hold the value of the curve that beats are
    found on in those frames, and NaN in the others: the marks of the plot.
    """

    def __init__(self, scene: Any, result: Any) -> None:
        self.node = _own_table(scene, result, CURVES)

    def update(self, track: Track, measurement: CineMeasurement | None, scheme: Scheme) -> None:
        count = len(track)
        columns: list[tuple[str, Any]] = [(FRAME, np.arange(count))]
        if track.times_s is not None:
            columns.append((TIME, np.asarray(track.times_s, float)))
        phases = phases_of(measurement)
        columns.append((PHASE, [" ".join(phases.get(frame, ())) for frame in range(count)]))
        columns.append((KEY_FRAME, [", ".join(track.fixed.get(frame, ())) for frame in range(count)]))
        if measurement is not None:
            beat_curve = measurement.curve(scheme.cine.beat_curve)
            for curve in measurement.curves:
                columns.append((column_name(curve), curve.values))
                columns.append((f"{curve.name} status", [status.value for status in curve.statuses]))
            for name, phase in ((END_DIASTOLE, "ED"), (END_SYSTOLE, "ES")):
                frames = np.array([phase in phases.get(frame, ()) for frame in range(count)])
                columns.append((name, np.where(frames, beat_curve.values, math.nan)))
        _fill(self.node, columns)


class ValueTable:
    """A table node with one row per value of the clip: mean over the beats, spread, why it is doubtful."""

    def __init__(self, scene: Any, result: Any) -> None:
        self.node = _own_table(scene, result, VALUES)

    def update(self, measurement: CineMeasurement | None) -> None:
        values = measurement.values if measurement is not None else ()

        def numbers(name: str) -> np.ndarray:
            found = (getattr(value, name) for value in values)
            return np.array([math.nan if number is None else number for number in found], float)

        columns = [
            ("Value", [value.name for value in values]),
            ("Mean", numbers("mean")),
            ("SD", numbers("sd")),
            ("Unit", [value.unit for value in values]),
            ("Beats", np.array([sum(beat.value is not None for beat in value.per_beat) for value in values], int)),
            ("Status", [value.status.value for value in values]),
            ("Remark", [value.reason for value in values]),
            ("Source", [value.source for value in values]),
        ]
        _fill(self.node, columns)


def phases_of(measurement: CineMeasurement | None) -> dict[int, tuple[str, ...]]:
    """ "ED" and "ES" by frame number."""
    found: dict[int, tuple[str, ...]] = {}
    for beat in measurement.beats if measurement is not None else ():
        for frame, phase in (
            (beat.end_diastole, "ED"),
            (beat.end_systole, "ES"),
            (beat.next_end_diastole, "ED"),
        ):
            if frame is not None and phase not in found.get(frame, ()):
                found[frame] = (*found.get(frame, ()), phase)
    return found


def column_name(curve: Curve) -> str:
    """What the column of a curve is called."""
    return f"{curve.name} ({curve.unit})"


def _own_table(scene: Any, result: Any, kind: str) -> Any:
    for node in nodes_with_role(scene, TABLE_CLASS, RESULT_ROLE, result):
        if node.GetAttribute(KIND_KEY) == kind:
            return node
    node = scene.AddNewNodeByClass(TABLE_CLASS, f"{result.GetName()} {kind}")
    node.SetAttribute(KIND_KEY, kind)
    node.SetNodeReferenceID(RESULT_ROLE, result.GetID())
    node.SetLocked(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    place_belonging(scene, node, result)
    return node


def _fill(node: Any, columns: Sequence[tuple[str, Any]]) -> None:
    """Show these columns; one modification."""
    with one_modification(node):
        node.RemoveAllColumns()
        for name, values in columns:
            if isinstance(values, np.ndarray):
                column = numpy_to_vtk(values, deep=True)
            else:
                column = vtk.vtkStringArray()
                for value in values:
                    column.InsertNextValue(value)
            column.SetName(name)
            node.AddColumn(column)
