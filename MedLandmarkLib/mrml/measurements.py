"""The measurements of a result in the scene: a table node, and Slicer's own measurements on the fiducial node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import slicer
import vtk

from ..landmark import Status
from ..measure import Measurement
from .hierarchy import place_belonging
from .nodes import RESULT_ROLE, nodes_with_role, one_modification

TABLE_CLASS = "vtkMRMLTableNode"
KIND_KEY = "MedLandmark.Table"  # of the tables of a clip: which of them it is
COLUMNS = ("Measurement", "Value", "Unit", "Normal range", "Verdict", "Status", "Remark")
_VALUE = COLUMNS.index("Value")


class MeasurementTable:
    """A table node with one row per measurement, updated in place.

    A measurement that does not exist has NaN as its value, and its remark says why; the status column is that of the
    least certain landmark. The table is locked: its numbers belong to the points.
    """

    def __init__(self, scene: Any, result: Any) -> None:
        tables = nodes_with_role(scene, TABLE_CLASS, RESULT_ROLE, result)
        found = [node for node in tables if not node.GetAttribute(KIND_KEY)]
        self.node = found[0] if found else self._create(scene, result)
        if self.node.GetNumberOfColumns() != len(COLUMNS):
            self._make_columns()

    def update(self, measurements: Sequence[Measurement]) -> None:
        """Show these measurements; cells that are as before are left alone. One modification."""
        table = self.node.GetTable()
        is_changed = table.GetNumberOfRows() != len(measurements)
        if is_changed:
            table.SetNumberOfRows(len(measurements))
        columns = [table.GetColumn(number) for number in range(len(COLUMNS))]
        for row, measurement in enumerate(measurements):
            for number, (column, cell) in enumerate(zip(columns, _cells(measurement), strict=True)):
                old = column.GetValue(row)
                if old != cell and not (number == _VALUE and math.isnan(old) and math.isnan(cell)):
                    column.SetValue(row, cell)
                    is_changed = True
        if is_changed:
            for column in columns:
                column.Modified()
            table.Modified()

    def _create(self, scene: Any, result: Any) -> Any:
        node = scene.AddNewNodeByClass(TABLE_CLASS, f"{result.GetName()} measurements")
        node.SetNodeReferenceID(RESULT_ROLE, result.GetID())
        node.SetLocked(True)
        place_belonging(scene, node, result)
        return node

    def _make_columns(self) -> None:
        with one_modification(self.node):
            self.node.RemoveAllColumns()
            for title in COLUMNS:
                column = vtk.vtkDoubleArray() if title == COLUMNS[_VALUE] else vtk.vtkStringArray()
                column.SetName(title)
                self.node.AddColumn(column)
            self.node.SetUseColumnTitleAsColumnHeader(True)


class StaticMeasurements:
    """Slicer's own measurements on the fiducial node: what its Markups module lists, and its file holds."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def update(self, measurements: Sequence[Measurement]) -> None:
        """Show these measurements; one without a value is there, but undefined."""
        for measurement in measurements:
            own = self._result.GetMeasurement(measurement.name)
            if own is None:
                own = slicer.vtkMRMLStaticMeasurement()
                own.SetName(measurement.name)
                self._fill(own, measurement)
                self._result.AddMeasurement(own)
            else:
                self._fill(own, measurement)

    @staticmethod
    def _fill(own: Any, measurement: Measurement) -> None:
        if measurement.value is None:
            if own.GetValueDefined() or not own.GetDescription():
                own.ClearValue(own.InsufficientInput)
        elif not own.GetValueDefined() or own.GetDisplayValue() != measurement.value:
            own.SetDisplayValue(measurement.value, measurement.unit)
        doubt = f" ({measurement.status.value})" if measurement.status is Status.DOUBTFUL else ""
        digits = 2 if measurement.unit == "ratio" else 1
        own.SetPrintFormat(f"%.{digits}f %s{doubt}")
        remarks = (measurement.status.value, measurement.reason, measurement.verdict)
        own.SetDescription("; ".join(remark for remark in remarks if remark))


def _cells(measurement: Measurement) -> tuple[str | float, ...]:
    low_high = measurement.normal_range
    return (
        measurement.name,
        math.nan if measurement.value is None else measurement.value,
        measurement.unit,
        "" if low_high is None else f"{low_high[0]:g} to {low_high[1]:g}",
        measurement.verdict,
        measurement.status.value,
        measurement.reason,
    )
