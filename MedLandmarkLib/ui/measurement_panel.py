"""Section Measurements: the numbers of the result under review, live while a point is dragged."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..landmark import Status
from ..measure import Measurement
from .explained import Explained
from .review_panel import ReviewPanel, setCell
from .status_marks import statusIcon, statusText

_DIGITS = {"deg": 1, "%": 1, "ratio": 3, "mm": 1, "px": 1}


class MeasurementPanel:
    """A table with one row per measurement of the scheme, and the switch of the drawings."""

    def __init__(self, ui: Any, reviewPanel: ReviewPanel) -> None:
        self._ui, self._reviewPanel = ui, reviewPanel
        self._shown: list[Measurement] = []
        self._drawings = Explained(ui.drawingsBox)
        table = ui.measurementTable
        table.horizontalHeader().setStretchLastSection(True)
        for column, width in enumerate((118, 100, 88)):
            table.setColumnWidth(column, width)
        ui.drawingsBox.toggled.connect(lambda *_args: self.showDrawings())
        reviewPanel.opened.connect(self._onOpened)
        reviewPanel.changed.connect(lambda names: self.update())

    def update(self) -> None:
        """Bring the table to the measurements; rows that are as before are left alone."""
        review = self._reviewPanel.review
        measurements = review.measurements if review else []
        table = self._ui.measurementTable
        if table.rowCount != len(measurements):
            table.setRowCount(len(measurements))
            self._shown = []
        for row, measurement in enumerate(measurements):
            if row >= len(self._shown) or self._shown[row] != measurement:
                self._showRow(row, measurement)
        self._shown = list(measurements)

    def showDrawings(self) -> None:
        """Show or hide lines and angles as the box says."""
        review = self._reviewPanel.review
        if review and review.drawings.is_shown != self._ui.drawingsBox.checked:
            review.show_drawings(self._ui.drawingsBox.checked)

    def _onOpened(self) -> None:
        self._shown = []
        self.update()
        self.showDrawings()
        self._drawings.allow("" if self._reviewPanel.review else _("There is no result yet."))

    def _showRow(self, row: int, measurement: Measurement) -> None:
        definition = self._reviewPanel.review.scheme.measurement(measurement.name)
        normal = measurement.normal_range
        texts = (
            measurement.name,
            valueText(measurement),
            "" if normal is None else _("{low:g} – {high:g}").format(low=normal[0], high=normal[1]),
            measurement.verdict,
        )
        remark = "\n".join(part for part in (f"{definition.title}: {definition.formula}", measurement.reason) if part)
        for column, text in enumerate(texts):
            setCell(self._ui.measurementTable, row, column, text).setToolTip(remark)
        cell = self._ui.measurementTable.item(row, 1)
        cell.setIcon(statusIcon(measurement.status))


def valueText(measurement: Measurement) -> str:
    """The value with its unit; a doubtful one has a question mark, an absent one says what it is."""
    if measurement.value is None:
        return statusText(Status.MISSING)
    units = {"deg": "°", "ratio": ""}
    number = f"{measurement.value:.{_DIGITS[measurement.unit]}f}"
    unit = units.get(measurement.unit, measurement.unit)
    space = "" if measurement.unit == "deg" else " "
    text = f"{number}{space}{unit}".rstrip()
    return _("{value} ?").format(value=text) if measurement.status is Status.DOUBTFUL else text
