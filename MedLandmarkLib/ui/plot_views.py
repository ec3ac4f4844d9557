"""Plot views of the application: showing a chart, and hearing which of its points the user selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

_SELECTED = "dataSelected(vtkStringArray*, vtkCollection*)"


class PlotViews:
    """Shows charts in the application's layout, and calls back with the row of the table that a click selects."""

    def __init__(self, scene: Any, app: Any) -> None:
        self._scene, self._app = scene, app
        self._connected: list[Any] = []
        self._plot: Any = None
        self._onPoint: Callable[[int], None] = lambda row: None

    def show(self, plot: Any, onPoint: Callable[[int], None]) -> None:
        """Show the chart of a CurvePlot in a plot view, where a click selects a point: onPoint(row of its table)."""
        self._plot, self._onPoint = plot, onPoint
        slicer.modules.plots.logic().ShowChartInLayout(plot.node)
        self.close()
        board = self._app.layoutManager()
        for number in range(board.plotViewCount):
            widget = board.plotWidget(number)
            node = widget.mrmlPlotViewNode()
            if node.GetPlotChartNodeID() == plot.node.GetID():
                node.SetInteractionMode(node.InteractionModeSelectPoints)
            view = widget.plotView()
            view.connect(_SELECTED, self._onSelected)
            self._connected.append(view)

    def close(self) -> None:
        """Hear of no selection any more."""
        for view in self._connected:
            view.disconnect(_SELECTED, self._onSelected)
        self._connected = []

    def _onSelected(self, seriesIds: Any, selections: Any) -> None:
        for number in range(seriesIds.GetNumberOfValues()):
            series = self._scene.GetNodeByID(seriesIds.GetValue(number))
            rows = selections.GetItemAsObject(number)
            if self._plot.is_own(series) and rows is not None and rows.GetNumberOfValues():
                self._onPoint(int(rows.GetValue(0)))
                return
