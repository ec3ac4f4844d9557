"""Section Teach: from one annotated image to a model of the user's own landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..engine import Signal
from ..errors import MedLandmarkError
from .explained import Explained
from .review_panel import setCell
from .teach_texts import estimateText, methodTexts, nameProblem, phaseText, resultText
from .template_list import TemplateList

_SETTLED_MS = 300  # after the last of many changes, such as the drag of a point


class TeachPanel:
    """Starts and cancels a teaching with what the section says. Signal: taught(modelId, schemeId).

    ensureInstalled() is called before the engine works and may ask the user; it raises MedLandmarkError.
    """

    def __init__(self, ui: Any, scene: Any, logic: Any, ensureInstalled: Any) -> None:
        import ctk
        import qt

        self._ui, self._scene, self._logic = ui, scene, logic
        self._ensureInstalled = ensureInstalled
        self._parameters: Any = None
        self.taught = Signal("modelId", "schemeId")
        self.templates = TemplateList(ui, scene)
        self._start, self._propose = Explained(ui.teachButton), Explained(ui.proposeButton)
        self._choices = Explained(
            ui.teachSchemeSelector, ui.teachMethodSelector, ui.teachEffortBox, ui.teachNameEdit, ui.teachFolderEdit,
            ui.sceneImagesBox,
        )  # fmt: skip
        for method, text in methodTexts().items():
            ui.teachMethodSelector.addItem(text, method)
        for text, isOwn in ((_("My own: the names of the points"), True), (_("Those of the chosen scheme"), False)):
            ui.teachSchemeSelector.addItem(text, isOwn)
        ui.teachFolderEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.teachSetAsideTable.horizontalHeader().setStretchLastSection(True)
        ui.teachSetAsideTable.setColumnWidth(0, 150)
        self._soon = qt.QTimer()
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SETTLED_MS)
        self._soon.timeout.connect(self.update)
        self.templates.changed.connect(self.update)
        self.templates.touched.connect(self.updateSoon)
        self.templates.message.connect(self.say)
        for box in (ui.teachMethodSelector, ui.teachSchemeSelector):
            box.currentIndexChanged.connect(lambda *_args: self._onChoice())
        ui.proposeButton.clicked.connect(lambda *_args: self.propose())
        ui.teachButton.clicked.connect(lambda *_args: self.startOrCancel())
        ui.teachSection.contentsCollapsed.connect(lambda *_args: self.update())
        for signal, slot in (
            (logic.progressed, self._onProgress), (logic.detailed, self._onDetailed), (logic.taught, self._onTaught),
            (logic.proposed, self._onProposed), (logic.failed, self._onFailed), (logic.cancelled, self._onCancelled),
        ):  # fmt: skip
            signal.connect(slot)

    def setParameters(self, parameters: Any | None) -> None:
        self._parameters = parameters
        self.templates.setParameters(parameters)
        if parameters is None:
            self._soon.stop()
            return
        for box, value in (
            (self._ui.teachMethodSelector, parameters.teachMethod),
            (self._ui.teachSchemeSelector, parameters.teachesOwnNames),
        ):
            wasBlocked = box.blockSignals(True)
            box.setCurrentIndex(max(0, box.findData(value)))
            box.blockSignals(wasBlocked)
        self.update()

    def propose(self) -> None:
        """Ask which image is most worth annotating."""
        self._try(lambda: (self._ensureInstalled(), self._logic.propose(self._sceneImages(), self._folder())))

    def startOrCancel(self) -> None:
        """What the button does: teach or, while the engine works, cancel."""
        if self._logic.isBusy:
            isTeaching = self._logic.isTeaching
            self._logic.cancel()
            self.say(
                _("Cancelling; the best model so far is kept. Cancel again not to wait for the present step.")
                if isTeaching
                else _("Cancelling...")
            )
            return
        self._showSetAside(())
        self._ui.teachEstimateLabel.setText("")
        self.say(_("Starting..."))
        self._try(self._begin)

    def _begin(self) -> None:
        self._ensureInstalled()
        parameters = self._parameters
        self._logic.start(
            self.templates.pairs,
            self._sceneImages(),
            self._folder(),
            parameters.teachName.strip(),
            schemeId=None if parameters.teachesOwnNames else parameters.schemeId,
            withUnchecked=parameters.teachesUnchecked,
            method=parameters.teachMethod,
            effort=parameters.teachEffort,
            device=parameters.device,
        )

    def say(self, text: str) -> None:
        """Put a sentence into the section's status line."""
        self._ui.teachStatusLabel.setText(text)
        self.update()

    def updateSoon(self) -> None:
        """Update once the scene has come to rest."""
        self._soon.start()

    def update(self) -> None:
        """Bring the list and all buttons to the state of the scene; a closed section is left for later."""
        if not self._parameters or self._ui.teachSection.collapsed:
            return
        busy = _("Wait until the engine has done what it does now.") if self._logic.isBusy else ""
        self.templates.update(busy)
        self._ui.teachProgressBar.setVisible(bool(busy))
        self._ui.teachSetAsideTable.setVisible(self._ui.teachSetAsideTable.rowCount > 0)
        self._ui.teachButton.setText(_("Cancel") if busy else _("Start teaching"))
        self._choices.allow(busy)
        self._propose.allow(busy or self._imagesProblem())
        self._start.allow("" if busy else self._startProblem())

    def _startProblem(self) -> str:
        pairs = self.templates.pairs
        if not pairs:
            return _("Put an annotated image on the list first: choose its points and their image, and add them.")
        return (self._imagesProblem() if len(pairs) == 1 else "") or nameProblem(self._parameters.teachName)

    def _imagesProblem(self) -> str:
        folder = self._folder()
        if folder and not Path(folder).is_dir():
            return _("There is no folder {folder}.").format(folder=folder)
        if not folder and not self._sceneImages():
            return _("Choose a folder of images of the same kind, or let the other images of the scene be used.")
        return ""

    def _folder(self) -> str:
        folder = self._parameters.teachFolder.strip()
        return str(Path(folder).expanduser().absolute()) if folder else ""

    def _sceneImages(self) -> list[Any]:
        """The images of the scene that are learned from without points."""
        from ..mrml.teaching import pictures

        if not self._parameters.teachesSceneImages:
            return []
        return pictures(self._scene, without=[volume for _points, volume in self.templates.pairs])

    def _onChoice(self) -> None:
        if self._parameters:
            box = self._ui.teachMethodSelector
            self._parameters.teachMethod = box.itemData(box.currentIndex)
            box = self._ui.teachSchemeSelector
            self._parameters.teachesOwnNames = bool(box.itemData(box.currentIndex))

    def _try(self, action: Any) -> None:
        try:
            action()
        except MedLandmarkError as error:
            self.say(str(error))
        self.update()

    def _onProgress(self, fraction: float, text: str) -> None:
        self._ui.teachProgressBar.setValue(round(100 * fraction))
        self._ui.teachStatusLabel.setText(text)

    def _onDetailed(self, details: dict) -> None:
        texts = phaseText(details.get("phase", "")), estimateText(details)
        self._ui.teachEstimateLabel.setText(" ".join(text for text in texts if text))

    def _onTaught(self, result: dict) -> None:
        self._showSetAside(result.get("set_aside", ()))
        self._ui.teachEstimateLabel.setText(estimateText(result))
        self.say(resultText(result))
        self.taught.emit(result["model_id"], result["scheme"])

    def _onProposed(self, result: dict) -> None:
        self._showSetAside(result.get("set_aside", ()))
        self.say("")
        if not result["proposals"]:
            self._ui.proposalLabel.setText(_("None of the images can be proposed."))
            return
        proposal = result["proposals"][0]
        self._ui.proposalLabel.setText(
            _("Annotate {name}: {reason}.").format(
                name=proposal["path"] or proposal["name"], reason=proposal["reason"].rstrip(".")
            )
        )
        volume = self._logic.proposedVolume(proposal)
        if volume is not None:
            self._parameters.inputVolume = volume

    def _onFailed(self, message: str, details: str) -> None:
        self.say(message)

    def _onCancelled(self) -> None:
        self.say(_("Cancelled before there was a model. Starting again with the same name goes on from here."))

    def _showSetAside(self, setAside: Any) -> None:
        table = self._ui.teachSetAsideTable
        table.setVisible(len(setAside) > 0 and not self._ui.teachSection.collapsed)
        table.setRowCount(len(setAside))
        for row, item in enumerate(setAside):
            for column, text in enumerate((item["name"], item["reason"])):
                setCell(table, row, column, text).setToolTip(item["reason"])
