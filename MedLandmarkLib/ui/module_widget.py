"""The panel as a whole: makes the sections, and tells each what the others and the scene did."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .clip_panel import ClipPanel
from .detect_panel import DetectPanel
from .detection_logic import DetectionLogic
from .input_panel import InputPanel
from .measurement_panel import MeasurementPanel
from .model_panel import ModelPanel
from .plot_views import PlotViews
from .requirements import ensureInstalled, missingText
from .result_panel import ResultPanel
from .review_panel import ReviewPanel
from .scheme_panel import SchemePanel
from .teach_logic import TeachLogic
from .teach_panel import TeachPanel


class ModulePanel:
    """Everything behind the widgets of the .ui file.

    ui: the widgets by name. logic: runs detections. requirementsPath: what the engine needs. app: the application.
    """

    def __init__(self, ui: Any, scene: Any, logic: DetectionLogic, requirementsPath: str, app: Any) -> None:
        self.ui, self.scene, self.logic, self._app = ui, scene, logic, app
        self.inputs = InputPanel(ui, scene, app)
        self.schemes = SchemePanel(ui)
        self.models = ModelPanel(ui, logic)
        self.detection = DetectPanel(
            ui, logic, self.inputs, self.schemes, self.models, lambda: ensureInstalled(requirementsPath)
        )
        self.review = ReviewPanel(ui, scene, self._jump, self._place, self.detection.say)
        self.measurements = MeasurementPanel(ui, self.review)
        self._plots = PlotViews(scene, app)
        self.clip = ClipPanel(ui, self.review, self._plots.show, self.detection.say)
        self.results = ResultPanel(ui, scene, self.review, self._showTable)
        self._teachLogic = TeachLogic(scene)  # with a worker of its own: detections go on beside a teaching
        self.teaching = TeachPanel(ui, scene, self._teachLogic, lambda: ensureInstalled(requirementsPath))
        self.teaching.taught.connect(self._onInstalled)
        self.review.changed.connect(lambda _names: self.teaching.updateSoon())
        self.models.installed.connect(self._onInstalled)
        self.models.removed.connect(self.schemes.reload)
        self.schemes.changed.connect(lambda: self.models.setScheme(self.schemes.scheme.id))
        self.inputs.calibrated.connect(self.detection.update)
        logic.finished.connect(self._onDetected)
        self._parameters: Any = None
        self._guiTag: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._inputId, self._resultId = None, None

    def setParameters(self, parameters: Any | None) -> None:
        """Bind the panel to a parameter node, or to none while the scene is closed."""
        if self._parameters is not None:
            self._parameters.disconnectGui(self._guiTag)
            self._unobserve()
            self.review.close()
            self.teaching.setParameters(None)
        self._parameters = parameters
        if parameters is None:
            return
        self._guiTag = parameters.connectGui(self.ui)
        self._observe(parameters, vtk.vtkCommand.ModifiedEvent, self._onParameters)
        for panel in (self.inputs, self.schemes, self.models, self.detection, self.review, self.teaching):
            panel.setParameters(parameters)
        self.models.setScheme(self.schemes.scheme.id)
        self._onParameters()
        self.detection.say(missingText())

    @property
    def hasParameters(self) -> bool:
        return self._parameters is not None

    def enter(self, parameters: Any) -> None:
        """The module is shown."""
        if not self.hasParameters:
            self.setParameters(parameters)
        self.review.setShortcutsEnabled(True)
        self.teaching.update()

    def exit(self) -> None:
        """The user went to another module; the landmarks are still followed."""
        self.review.setShortcutsEnabled(False)

    def close(self) -> None:
        """Let go of the scene; for cleanup."""
        self.exit()
        self._plots.close()
        self._teachLogic.close()
        self.setParameters(None)

    def sceneClosed(self) -> None:
        """The scene was emptied: what was done in it cannot be undone any more."""
        self.review.stack.clear()

    def _observe(self, node: Any, event: int, callback: Any) -> None:
        self._observed.append((node, node.AddObserver(event, lambda *_args: callback())))

    def _unobserve(self) -> None:
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    def _onParameters(self) -> None:
        """Another input, result or ruler was chosen, here or by the scene."""
        if self.scene.IsBatchProcessing():
            return  # a file is being loaded: its nodes are complete only at the end
        volume = self._parameters.inputVolume
        volumeId = volume.GetID() if volume else None
        if volumeId != self._inputId:
            self._inputId = volumeId
            if volume is not None and volume.GetImageData() is not None:
                slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self.inputs.update()
        self.review.open(self._parameters.result)
        self.results.update()
        self.detection.update()
        self.teaching.update()

    def _onDetected(self, node: Any) -> None:
        from ..mrml import ResultCreated

        self.review.stack.push(ResultCreated(self.scene, node, "detect landmarks"))
        if self._parameters is not None:
            self._parameters.result = node

    def _onInstalled(self, modelId: str, schemeId: str) -> None:
        """A model came to this computer: show its scheme among the others, and choose both."""
        self.schemes.reload()
        if self._parameters is not None:
            self._parameters.modelId = modelId
            self.schemes.choose(schemeId)

    def _jump(self, node: Any, number: int) -> None:
        from ..mrml import volume_of

        volume = volume_of(node)
        data = volume.GetImageData() if volume is not None else None
        inSpace = data is not None and data.GetDimensions()[2] > 1  # a radiograph is not pushed about in its view
        slicer.modules.markups.logic().JumpSlicesToNthPointInMarkup(node.GetID(), number, inSpace)

    def _place(self, node: Any, number: int) -> None:
        node.UnsetNthControlPointPosition(number)
        node.SetControlPointPlacementStartIndex(number)
        logic = slicer.modules.markups.logic()
        logic.SetActiveList(node)
        logic.StartPlaceMode(False)

    def _showTable(self, table: Any) -> None:
        selection = self._app.applicationLogic().GetSelectionNode()
        selection.SetActiveTableID(table.GetID())
        self._app.applicationLogic().PropagateTableSelection()
