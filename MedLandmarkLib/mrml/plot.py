"""The curves of a clip as a plot chart: one series per curve, and the marks of end-diastole and end-systole."""

from __future__ import annotations

from typing import Any

import slicer

from ..measure.cine import CineMeasurement
from ..scheme import Scheme
from ..track import Track
from .clip_tables import END_DIASTOLE, END_SYSTOLE, FRAME, TIME, column_name
from .hierarchy import place_belonging
from .nodes import RESULT_ROLE, nodes_with_role, one_modification

CHART_CLASS, SERIES_CLASS = "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode"
SERIES_KEY = "MedLandmark.Series"  # of a series node: the curve, or the mark, that it shows
# Okabe and Ito, 2008: they stay apart for readers with red-green weakness.
_CURVE_COLOURS = ((0.13, 0.13, 0.13), (0.0, 0.62, 0.45), (0.8, 0.47, 0.65), (0.34, 0.71, 0.91))
_MARKS = {END_DIASTOLE: ((0.0, 0.45, 0.7), "Circle"), END_SYSTOLE: ((0.84, 0.37, 0.0), "Diamond")}
_MARK_SIZE, _LINE_WIDTH = 13.0, 2.0

_Series = slicer.vtkMRMLPlotSeriesNode


class CurvePlot:
    """A chart node over the table of curves; the table's changes show without more ado.

    A chart has one axis, so it holds the curve that beats are found on and those of the same unit; the others are in
    the table. Each row of the table is a frame, and so the number of a point in any series is that of its frame.
    """

    def __init__(self, scene: Any, result: Any, table: Any) -> None:
        self._scene, self._result, self._table = scene, result, table
        charts = nodes_with_role(scene, CHART_CLASS, RESULT_ROLE, result)
        self.node = charts[0] if charts else self._create(CHART_CLASS, f"{result.GetName()} plot")

    @property
    def series(self) -> dict[str, Any]:
        """The series nodes by the curve or the mark that they show."""
        found = nodes_with_role(self._scene, SERIES_CLASS, RESULT_ROLE, self._result)
        return {node.GetAttribute(SERIES_KEY): node for node in found}

    def is_own(self, series: Any | None) -> bool:
        """Whether a series node is one of this chart."""
        return series is not None and series.GetNodeReferenceID(RESULT_ROLE) == self._result.GetID()

    def update(self, track: Track, measurement: CineMeasurement | None, scheme: Scheme) -> None:
        """Bring chart and series to the curves that there are."""
        if measurement is None:
            return
        x = FRAME if track.times_s is None else TIME
        unit = measurement.curve(scheme.cine.beat_curve).unit
        curves = sorted(
            (curve for curve in measurement.curves if curve.unit == unit),
            key=lambda curve: curve.name != scheme.cine.beat_curve,
        )
        shown = self.series
        with one_modification(self.node):
            for number, curve in enumerate(curves):
                node = shown.get(curve.name) or self._add_curve(curve.name, number)
                _set_columns(node, self._table, x, column_name(curve))
            for mark, (colour, style) in _MARKS.items():
                node = shown.get(mark) or self._add_mark(mark, colour, style)
                _set_columns(node, self._table, x, mark)
            self.node.SetTitle(self._result.GetName())
            self.node.SetXAxisTitle(x)
            self.node.SetYAxisTitle(unit)

    def _add_curve(self, name: str, number: int) -> Any:
        node = self._add(name)
        node.SetMarkerStyle(_Series.MarkerStyleNone)
        node.SetLineStyle(_Series.LineStyleSolid)
        node.SetLineWidth(_LINE_WIDTH)
        node.SetColor(*_CURVE_COLOURS[number % len(_CURVE_COLOURS)])
        return node

    def _add_mark(self, name: str, colour: tuple[float, float, float], style: str) -> Any:
        node = self._add(name)
        node.SetLineStyle(_Series.LineStyleNone)
        node.SetMarkerStyle(getattr(_Series, f"MarkerStyle{style}"))
        node.SetMarkerSize(_MARK_SIZE)
        node.SetColor(*colour)
        return node

    def _add(self, name: str) -> Any:
        node = self._create(SERIES_CLASS, name)
        node.SetAttribute(SERIES_KEY, name)
        node.SetPlotType(_Series.PlotTypeScatter)
        self.node.AddAndObservePlotSeriesNodeID(node.GetID())
        return node

    def _create(self, class_name: str, name: str) -> Any:
        node = self._scene.AddNewNodeByClass(class_name, name)
        node.SetNodeReferenceID(RESULT_ROLE, self._result.GetID())
        place_belonging(self._scene, node, self._result)
        return node


def _set_columns(node: Any, table: Any, x: str, y: str) -> None:
    with one_modification(node):
        node.SetAndObserveTableNodeID(table.GetID())
        node.SetXColumnName(x)
        node.SetYColumnName(y)
