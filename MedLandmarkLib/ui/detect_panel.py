"""The button that detects and then cancels, its progress bar, and what to do when the engine went."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..errors import MedLandmarkError
from .explained import Explained


class DetectPanel:
    """Starts and cancels a detection with what the other panels chose.

    ensureInstalled() is called before each detection and may ask the user; it raises MedLandmarkError.
    """

    def __init__(self, ui: Any, logic: Any, inputs: Any, schemes: Any, models: Any, ensureInstalled: Any) -> None:
        self._ui, self._logic = ui, logic
        self._inputs, self._schemes, self._models = inputs, schemes, models
        self._ensureInstalled = ensureInstalled
        self._parameters: Any = None
        self._report = ""
        self._detect = Explained(ui.detectButton)
        ui.detectButton.clicked.connect(lambda *_args: self.detectOrCancel())
        ui.restartButton.clicked.connect(lambda *_args: self.restart())
        ui.errorReportButton.clicked.connect(lambda *_args: self.copyReport())
        logic.progressed.connect(self._onProgress)
        logic.finished.connect(self._onFinished)
        logic.failed.connect(self._onFailed)
        logic.cancelled.connect(self._onCancelled)
        logic.stopped.connect(self._onStopped)
        models.progressed.connect(self._onProgress)
        models.message.connect(self.say)
        for panel in (inputs, schemes, models):
            panel.changed.connect(self.update)

    def setParameters(self, parameters: Any) -> None:
        self._parameters = parameters

    @property
    def isBusy(self) -> bool:
        return self._logic.isBusy or self._models.isBusy

    def detectOrCancel(self) -> None:
        """What the button does: detect or, while something is under way, cancel it."""
        if self._logic.isBusy:
            self._ui.statusLabel.setText(_("Cancelling..."))
            self._logic.cancel()
        elif self._models.isBusy:
            self._models.cancel()
        else:
            self._start()
        self.update()

    def _start(self) -> None:
        self._showEngineTrouble(False)
        try:
            self._ensureInstalled()
            self._logic.start(
                self._inputs.volume,
                self._schemes.scheme.id,
                self._parameters.modelId,
                self._parameters.device,
                **self._inputs.picture(),
            )
            self.say(_("Starting..."))
        except MedLandmarkError as error:
            self.say(str(error))

    def restart(self) -> None:
        """End the engine's process and start another."""
        self._logic.engine.restart()
        self._showEngineTrouble(False)
        self.say(_("The engine was started again."))
        self.update()

    def copyReport(self) -> None:
        import qt

        qt.QApplication.clipboard().setText(self._report)
        self.say(_("The error report is in the clipboard."))

    def say(self, text: str) -> None:
        """Put a sentence into the status line."""
        self._ui.statusLabel.setText(text)
        self.update()

    def update(self) -> None:
        """Bring the button and the progress bar to the state of things."""
        busy = self.isBusy
        self._ui.progressBar.setVisible(busy)
        if not busy:
            self._ui.progressBar.setValue(0)
        self._ui.detectButton.setText(_("Cancel") if busy else _("Detect landmarks"))
        self._detect.allow("" if busy or not self._parameters else self._inputs.problem() or self._models.problem())

    def _onProgress(self, fraction: float, text: str) -> None:
        self._ui.progressBar.setVisible(True)
        self._ui.progressBar.setValue(round(100 * fraction))
        self._ui.statusLabel.setText(text)

    def _onFinished(self, node: Any) -> None:
        self.say(_("Done: {name}.").format(name=node.GetName()))

    def _onFailed(self, message: str, details: str) -> None:
        self._report = "\n".join(part for part in (message, details, self._logic.engine.last_error_report) if part)
        self._ui.errorReportButton.setVisible(bool(details))
        self.say(message)

    def _onCancelled(self) -> None:
        self.say(_("Cancelled. The scene is as it was."))

    def _onStopped(self, message: str) -> None:
        self._report = f"{message}\n{self._logic.engine.last_error_report}"
        self._showEngineTrouble(True)
        self.say(
            _("{message} The scene is as it was; the next detection starts the engine again.").format(message=message)
        )

    def _showEngineTrouble(self, shown: bool) -> None:
        self._ui.restartButton.setVisible(shown)
        self._ui.errorReportButton.setVisible(shown)
