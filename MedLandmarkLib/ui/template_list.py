"""In section Teach: the annotated images that are learned from."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..engine import Signal
from ..errors import MedLandmarkError
from .explained import Explained
from .review_panel import setCell


class TemplateList:
    """Points of the scene with their images. Signals: changed(): the list, or what may be added; message(text)."""

    def __init__(self, ui: Any, scene: Any) -> None:
        from ..mrml.nodes import Observations

        self._ui, self._scene = ui, scene
        self._parameters: Any = None
        self.pairs: list[tuple[Any, Any]] = []  # (points, image) nodes
        self.changed, self.touched, self.message = Signal(), Signal(), Signal("text")
        self._observations = Observations()
        self._add, self._addReviewed = Explained(ui.addTemplateButton), Explained(ui.addReviewedButton)
        self._remove = Explained(ui.removeTemplateButton)
        self._choices = Explained(ui.teachPointsSelector, ui.teachImageSelector, ui.uncheckedBox)
        header = ui.teachTable.horizontalHeader()
        header.setStretchLastSection(True)
        for column in (0, 1):
            ui.teachTable.setColumnWidth(column, 150)
        ui.teachTable.itemSelectionChanged.connect(self.changed.emit)
        ui.teachPointsSelector.currentNodeChanged.connect(lambda *_args: self._onPoints())
        ui.teachImageSelector.currentNodeChanged.connect(lambda *_args: self.changed.emit())
        for button, action in (
            (ui.addTemplateButton, self.add), (ui.addReviewedButton, self.addReviewed),
            (ui.removeTemplateButton, self.remove),
        ):  # fmt: skip
            button.clicked.connect(lambda *_args, action=action: action())

    def setParameters(self, parameters: Any | None) -> None:
        self._parameters = parameters
        if parameters is None:
            self._observations.clear()
            self.pairs = []

    def add(self) -> None:
        """Put the chosen points and image on the list."""
        from ..mrml.teaching import add_template

        try:
            add_template(self._scene, *self._chosen(), self._parameters.teachesUnchecked)
        except MedLandmarkError as error:
            self.message.emit(str(error))
        self.changed.emit()

    def addReviewed(self) -> None:
        """Put all results on the list in which somebody accepted or edited landmarks."""
        from ..mrml.teaching import add_template, reviewed_results, templates

        added = 0
        for points, volume in reviewed_results(self._scene):
            if all(volume is not taken for _points, taken in templates(self._scene)):
                add_template(self._scene, points, volume)
                added += 1
        self.message.emit(
            _("{count} reviewed results were added.").format(count=added)
            if added
            else _("No other result has a landmark that was accepted or edited.")
        )
        self.changed.emit()

    def remove(self) -> None:
        """Take the selected annotated image off the list."""
        from ..mrml.teaching import remove_template

        row = self._ui.teachTable.currentRow()
        if self._ui.teachTable.selectedItems() and 0 <= row < len(self.pairs):
            remove_template(self.pairs[row][0])
        self.changed.emit()

    def update(self, busy: str) -> None:
        """Bring table and buttons to the state of the scene. busy: why nothing can be changed now, or empty."""
        self._show()
        self._choices.allow(busy)
        self._add.allow(busy or self._addProblem())
        self._addReviewed.allow(busy or self._reviewedProblem())
        isSelected = bool(self._ui.teachTable.selectedItems())
        self._remove.allow(busy or ("" if isSelected else _("Select an annotated image in the list first.")))

    def _addProblem(self) -> str:
        from ..mrml.teaching import taught_points

        points, volume = self._chosen()
        if points is None:
            return _("Choose the points first. Place one for each landmark in the Markups module, and name them.")
        try:
            taught_points(self._scene, points, volume, self._parameters.teachesUnchecked)
        except MedLandmarkError as error:
            return str(error)
        return _("These points are on the list.") if any(points is pair[0] for pair in self.pairs) else ""

    def _reviewedProblem(self) -> str:
        from ..mrml import results

        return "" if results(self._scene) else _("The scene holds no result. Detect landmarks, and review them.")

    def _chosen(self) -> tuple[Any, Any]:
        return self._ui.teachPointsSelector.currentNode(), self._ui.teachImageSelector.currentNode()

    def _show(self) -> None:
        from ..mrml.teaching import templates

        self.pairs = templates(self._scene)
        table = self._ui.teachTable
        wasBlocked = table.blockSignals(True)
        table.setRowCount(len(self.pairs))
        for row, (points, volume) in enumerate(self.pairs):
            text, remark = self._texts(points, volume)
            for column, content in enumerate((points.GetName(), volume.GetName(), text)):
                setCell(table, row, column, content).setToolTip(remark)
        table.blockSignals(wasBlocked)

    def _texts(self, points: Any, volume: Any) -> tuple[str, str]:
        """How many landmarks are learned from an image, and which of them, or why not."""
        from ..mrml.teaching import taught_points

        try:
            taught = taught_points(self._scene, points, volume, self._parameters.teachesUnchecked)
        except MedLandmarkError as error:
            return _("none"), str(error)
        text = _("{count} of {all}").format(count=len(taught.picture_xy), all=len(taught.names))
        if taught.unchecked:
            names = ", ".join(taught.unchecked)
            return text, _("Left out, as nobody accepted or edited them: {names}").format(names=names)
        return text, ", ".join(taught.picture_xy)

    def _onPoints(self) -> None:
        """Follow the chosen points, and choose their image: that of a result, else the input."""
        from ..mrml import volume_of

        points = self._ui.teachPointsSelector.currentNode()
        self._observations.clear()
        if points is not None:
            for event in (points.PointPositionDefinedEvent, points.PointRemovedEvent, points.PointModifiedEvent):
                self._observations.add(points, event, self.touched.emit)
        volume = volume_of(points) if points is not None else None
        volume = volume or (self._parameters.inputVolume if self._parameters else None)
        if points is not None and volume is not None:
            self._ui.teachImageSelector.setCurrentNode(volume)
        self.changed.emit()
