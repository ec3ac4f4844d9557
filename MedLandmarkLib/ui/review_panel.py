"""Section Review: the table of landmarks, and what a reader does with them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from slicer.i18n import tr as _

from ..engine import Signal
from ..errors import MedLandmarkError
from ..landmark import Landmark, LandmarkSet, Status
from .explained import Explained
from .status_marks import statusIcon, statusText


class ReviewPanel:
    """Shows one result under review. Signals: changed(names): its landmarks changed; opened(): another one is shown.

    jump(node, number) moves the slice views to a control point; place(node, number) lets the user place it by a click.
    """

    def __init__(self, ui: Any, scene: Any, jump: Any, place: Any, say: Any) -> None:
        from ..mrml import CommandStack

        self._ui, self._scene, self._jump, self._place, self._say = ui, scene, jump, place, say
        self._parameters: Any = None
        self.review: Any = None
        self.changed, self.opened = Signal("names"), Signal()
        self.stack = CommandStack(on_change=self._updateButtons, on_message=say)
        self._shortcuts: list[Any] = []
        self._needSelection = Explained(ui.acceptButton, ui.revertButton, ui.missingButton, ui.placeButton)
        self._needResult = Explained(ui.acceptConfidentButton, ui.nextDoubtfulButton)
        self._uncertainty = Explained(ui.uncertaintyBox)
        self._undo, self._redo, self._adopt = (
            Explained(ui.undoButton),
            Explained(ui.redoButton),
            Explained(ui.adoptButton),
        )
        for button, action in (
            (ui.acceptButton, self.accept), (ui.revertButton, self.revert), (ui.missingButton, self.markMissing),
            (ui.placeButton, self.placeSelected), (ui.nextDoubtfulButton, self.selectNextDoubtful),
            (ui.acceptConfidentButton, self.acceptConfident), (ui.undoButton, self.stack.undo),
            (ui.redoButton, self.stack.redo), (ui.adoptButton, self.adopt),
        ):  # fmt: skip
            button.clicked.connect(lambda *_args, action=action: action())
        ui.landmarkTable.itemSelectionChanged.connect(self._onSelection)
        ui.uncertaintyBox.toggled.connect(lambda *_args: self._showUncertainty())
        header = ui.landmarkTable.horizontalHeader()
        header.setStretchLastSection(True)
        ui.landmarkTable.setColumnWidth(0, 160)
        ui.landmarkTable.setColumnWidth(1, 90)
        ui.landmarkTable.setColumnWidth(2, 46)

    def setParameters(self, parameters: Any) -> None:
        self._parameters = parameters
        self.open(parameters.result)

    def open(self, node: Any | None) -> None:
        """Review this result; a node that is none, or none at all, empties the table."""
        from ..mrml import is_result, open_review

        if self.review is not None and self.review.node is node:
            return
        self.close()
        if node is not None and is_result(node):
            try:
                self.review = open_review(self._scene, node, self.stack, self._onChange)
            except MedLandmarkError as error:
                self._say(str(error))
        self._fill()
        self._showUncertainty()
        self.opened.emit()

    def close(self) -> None:
        """Stop following the scene."""
        if self.review is not None:
            self.review.close()
            self.review = None

    @property
    def selectedName(self) -> str:
        """The landmark that is selected in the table; empty where none is."""
        row = self._ui.landmarkTable.currentRow()
        selected = self._ui.landmarkTable.selectedItems()
        return self.review.landmarks.names[row] if self.review and selected and row >= 0 else ""

    def select(self, name: str) -> None:
        """Select a landmark, which moves the views to it."""
        if self.review:
            self._ui.landmarkTable.selectRow(self.review.scheme.index(name))

    # What the buttons and the shortcuts do.

    def accept(self) -> None:
        self._act(lambda: self.review.accept([self.selectedName]))

    def revert(self) -> None:
        self._act(lambda: self.review.revert([self.selectedName]))

    def markMissing(self) -> None:
        self._act(lambda: self.review.mark_missing([self.selectedName]))

    def placeSelected(self) -> None:
        self._act(lambda: self._place(self.review.node, self.review.scheme.index(self.selectedName)))

    def acceptConfident(self) -> None:
        if self.review:
            names = self.review.accept_all_confident()
            self._say(_("{count} landmarks were accepted.").format(count=len(names)))

    def selectNextDoubtful(self) -> None:
        from ..mrml import next_to_review

        name = next_to_review(self.review.landmarks, self.selectedName) if self.review else ""
        if name:
            self.select(name)
        else:
            self._say(_("No landmark is doubtful."))

    def adopt(self) -> None:
        """Make a result of the chosen list of points, with the chosen scheme."""
        from ..mrml import adopt_markups
        from ..scheme import load_scheme

        node, volume = self._parameters.result, self._parameters.inputVolume
        try:
            result = adopt_markups(self._scene, node, volume, load_scheme(self._parameters.schemeId))
        except MedLandmarkError as error:
            self._say(str(error))
            return
        self._parameters.result = result
        self.open(result)

    def _showUncertainty(self) -> None:
        """Show or hide the ellipsoids as the box says."""
        ellipsoids = self.review.ellipsoids if self.review else None
        if ellipsoids is not None and ellipsoids.is_shown != self._ui.uncertaintyBox.checked:
            self.review.show_uncertainty(self._ui.uncertaintyBox.checked)
        noneStated = _("Only a detection in a whole volume, or in a projection of one, states its uncertainty.")
        self._uncertainty.allow("" if ellipsoids is not None and ellipsoids.has_any else noneStated)

    def setShortcutsEnabled(self, enabled: bool) -> None:
        """Keyboard shortcuts live only while the module is shown."""
        import qt

        if enabled and not self._shortcuts:
            for keys, action in (
                ("A", self.accept), ("R", self.revert), ("M", self.markMissing), ("P", self.placeSelected),
                ("N", self.selectNextDoubtful), ("Ctrl+Z", self.stack.undo), ("Ctrl+Y", self.stack.redo),
            ):  # fmt: skip
                shortcut = qt.QShortcut(self._ui.reviewSection.window())
                shortcut.setKey(qt.QKeySequence(keys))
                shortcut.activated.connect(lambda action=action: action())
                self._shortcuts.append(shortcut)
        elif not enabled:
            for shortcut in self._shortcuts:
                shortcut.setEnabled(False)
                shortcut.setParent(None)
            self._shortcuts = []

    def _act(self, action: Any) -> None:
        if not self.selectedName:
            return
        try:
            action()
        except MedLandmarkError as error:
            self._say(str(error))

    def _onChange(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._showRow(self.review.scheme.index(name))
        self._showSummary()
        self._updateButtons()
        self.changed.emit(names)

    def _onSelection(self) -> None:
        self._showText()
        self._updateButtons()
        name = self.selectedName
        if name and self.review.landmarks[name].ijk is not None:
            self._jump(self.review.node, self.review.scheme.index(name))

    def _fill(self) -> None:
        table = self._ui.landmarkTable
        wasBlocked = table.blockSignals(True)
        table.clearSelection()
        table.setRowCount(len(self.review.landmarks) if self.review else 0)
        for row in range(table.rowCount):
            self._showRow(row)
        table.blockSignals(wasBlocked)
        self._showSummary()
        self._showText()
        self._updateButtons()

    def _showRow(self, row: int) -> None:
        landmark = self.review.landmarks.landmarks[row]
        confidence = "" if landmark.confidence is None else f"{100 * landmark.confidence:.0f} %"
        place = positionText(landmark, self._covariance(landmark.name))
        for column, text in enumerate((landmark.name, statusText(landmark.status), confidence, place)):
            setCell(self._ui.landmarkTable, row, column, text)
        self._ui.landmarkTable.item(row, 3).setToolTip(place)  # which the column may be too narrow for
        statusCell = self._ui.landmarkTable.item(row, 1)
        statusCell.setIcon(statusIcon(landmark.status))
        statusCell.setToolTip(landmark.reason)

    def _showSummary(self) -> None:
        if not self.review:
            text = _("Detect landmarks, or choose a list of points.")
        else:
            text = summaryText(self.review.landmarks)
        self._ui.reviewSummary.setText(text)
        self._showText()

    def _showText(self) -> None:
        name = self.selectedName
        if not name:
            self._ui.landmarkText.setText("")
            return
        from ..mrml.uncertainty import worst_sd_mm

        landmark = self.review.landmarks[name]
        definition = self.review.scheme.landmarks[self.review.scheme.index(name)].definition
        state = statusText(landmark.status) + (f": {landmark.reason}" if landmark.reason else "")
        covariance = self._covariance(name)
        if covariance is not None:
            state += "; " + _("standard deviation up to {sd:.2f} mm").format(sd=worst_sd_mm(covariance))
        self._ui.landmarkText.setText(
            _("{name}: {definition} ({state})").format(name=name, definition=definition, state=state)
        )

    def _covariance(self, name: str) -> Any | None:
        """(3, 3) RAS mm² of a landmark where the detection stated it and nobody moved the point since."""
        return self.review.ellipsoids.covariances(self.review.landmarks).get(name)

    def _updateButtons(self) -> None:
        noResult = "" if self.review else _("There is no result yet.")
        self._needResult.allow(noResult)
        self._needSelection.allow(noResult or ("" if self.selectedName else _("Select a landmark in the table first.")))
        self._undo.allow("" if self.stack.undo_text else _("There is nothing to undo."))
        self._redo.allow("" if self.stack.redo_text else _("There is nothing to do again."))
        node = self._parameters.result if self._parameters else None
        self._adopt.allow(
            _("Choose a list of points that is no result yet.") if node is None or self.review is not None else ""
        )


def positionText(landmark: Landmark, covariance: Any | None = None) -> str:
    """Where it is: RAS in mm where the image is calibrated, else the pixel; with its standard deviation if known."""
    from ..mrml.uncertainty import worst_sd_mm

    if not landmark.status.is_usable:
        return ""
    if landmark.ras is not None:
        place = ", ".join(f"{value:.1f}" for value in landmark.ras)
        return f"{place} mm" if covariance is None else f"{place} ± {worst_sd_mm(covariance):.1f} mm"
    return ", ".join(f"{value:.1f}" for value in landmark.ijk[:2]) + " px"


def summaryText(landmarks: LandmarkSet) -> str:
    """How many landmarks there are of each status."""
    counts = Counter(landmark.status for landmark in landmarks)
    return ", ".join(
        _("{count} {status}").format(count=counts[status], status=statusText(status))
        for status in Status
        if counts[status]
    )


def setCell(table: Any, row: int, column: int, text: str) -> Any:
    """Write a cell where it changed, and give it back."""
    import qt

    cell = table.item(row, column)
    if cell is None:
        cell = qt.QTableWidgetItem(text)
        table.setItem(row, column, cell)
    elif cell.text() != text:
        cell.setText(text)
    return cell
