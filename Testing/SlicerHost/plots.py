"""A plot view: the chart node that its view node names, drawn by VTK's charts offscreen as Slicer's qMRMLPlotView does.

Of a series' looks the colour, the line's width and the marker are drawn; a chart node's other settings are not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import slicer
import vtk

from .offscreen import picture_of, save_rgb

_SIZE = (900, 420)
_SIGNAL = "dataSelected(vtkStringArray*, vtkCollection*)"


class PlotView:
    """`plotWidget(0).plotView()`."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        node = slicer.vtkMRMLPlotViewNode()
        node.SetSingletonTag("1")
        self.view_node = scene.AddNode(node)
        self._slots: list[Callable[[vtk.vtkStringArray, vtk.vtkCollection], None]] = []

    def connect(self, signal: str, slot: Callable[[vtk.vtkStringArray, vtk.vtkCollection], None]) -> None:
        self._check(signal)
        self._slots.append(slot)

    def disconnect(self, signal: str, slot: Callable[[vtk.vtkStringArray, vtk.vtkCollection], None]) -> None:
        self._check(signal)
        self._slots.remove(slot)

    # -- for tests --

    def click(self, series: slicer.vtkMRMLPlotSeriesNode, row: int) -> None:
        """What a click on a point does where the view selects points; nothing where it does not."""
        if self.view_node.GetInteractionMode() != self.view_node.InteractionModeSelectPoints:
            return
        ids, rows, selections = vtk.vtkStringArray(), vtk.vtkIdTypeArray(), vtk.vtkCollection()
        ids.InsertNextValue(series.GetID())
        rows.InsertNextValue(row)
        selections.AddItem(rows)
        for slot in list(self._slots):
            slot(ids, selections)

    def picture(self) -> np.ndarray:
        """(rows, columns, 3) uint8 of the chart as it is now."""
        view = vtk.vtkContextView()
        window = view.GetRenderWindow()
        window.SetOffScreenRendering(1)
        window.SetMultiSamples(0)
        window.SetSize(*_SIZE)
        view.GetRenderer().SetBackground(1, 1, 1)
        view.GetScene().AddItem(self._chart())
        return picture_of(window)

    def save_picture(self, path: Path) -> None:
        save_rgb(self.picture(), path)

    def _chart(self) -> vtk.vtkChartXY:
        node, chart = self.view_node.GetPlotChartNode(), vtk.vtkChartXY()
        if node is None:
            raise ValueError("the plot view shows no chart")
        chart.SetTitle(node.GetTitle())
        chart.SetShowLegend(node.GetLegendVisibility())
        chart.GetAxis(vtk.vtkAxis.BOTTOM).SetTitle(node.GetXAxisTitle())
        chart.GetAxis(vtk.vtkAxis.LEFT).SetTitle(node.GetYAxisTitle())
        for number in range(node.GetNumberOfPlotSeriesNodes()):
            self._add(chart, node.GetNthPlotSeriesNode(number))
        return chart

    @staticmethod
    def _add(chart: vtk.vtkChartXY, series: slicer.vtkMRMLPlotSeriesNode) -> None:
        if series.GetPlotType() != series.PlotTypeScatter:
            raise NotImplementedError(f"plots of type {series.GetPlotTypeAsString(series.GetPlotType())}")
        has_line = series.GetLineStyle() != series.LineStyleNone
        plot = chart.AddPlot(vtk.vtkChart.LINE if has_line else vtk.vtkChart.POINTS)
        plot.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
        plot.SetLabel(series.GetName())
        plot.SetColorF(*series.GetColor())
        plot.SetWidth(series.GetLineWidth())
        plot.SetMarkerStyle(series.GetMarkerStyle())
        plot.SetMarkerSize(series.GetMarkerSize())

    @staticmethod
    def _check(signal: str) -> None:
        if signal != _SIGNAL:
            raise NotImplementedError(f"a plot view has no signal '{signal}' in SlicerHost")


class PlotWidget:
    """`layoutManager().plotWidget(0)`."""

    def __init__(self, view: PlotView) -> None:
        self._view = view

    def plotView(self) -> PlotView:
        return self._view

    def mrmlPlotViewNode(self) -> slicer.vtkMRMLPlotViewNode:
        return self._view.view_node
