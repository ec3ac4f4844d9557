"""Section Model: which network detects, where it runs, and getting or removing its weights."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..engine import Signal
from ..errors import MedLandmarkError
from ..models.catalogue import ModelCard, catalogue
from ..models.folder import is_model_folder
from .explained import Explained


def deviceTexts() -> dict[str, str]:
    """The devices that may be chosen, by the name that the engine knows."""
    return {
        "auto": _("Automatic"),
        "cpu": _("Processor (CPU)"),
        "cuda": _("NVIDIA graphics card"),
        "mps": _("Apple graphics processor"),
    }


class ModelPanel:
    """Lists the models that know a scheme.

    Signals: changed(); message(text) for the status line; installed(modelId, schemeId): a model came that does not know
    the chosen scheme; removed(): one went.
    """

    def __init__(self, ui: Any, logic: Any) -> None:
        self._ui, self._logic = ui, logic
        self._parameters: Any = None
        self._schemeId = ""
        self._cards: dict[str, ModelCard] = {}
        self._job: int | None = None
        self.changed, self.message, self.progressed = Signal(), Signal("text"), Signal("fraction", "text")
        self.installed, self.removed = Signal("modelId", "schemeId"), Signal()
        self._download = Explained(ui.downloadButton)
        self._delete = Explained(ui.deleteModelButton)
        self._import = Explained(ui.importButton)
        for device, text in deviceTexts().items():
            ui.deviceSelector.addItem(text, device)
        ui.modelSelector.currentIndexChanged.connect(lambda *_args: self._onModel())
        ui.deviceSelector.currentIndexChanged.connect(lambda *_args: self._onDevice())
        ui.licenceBox.toggled.connect(lambda *_args: self._update())
        ui.weightsPath.currentPathChanged.connect(lambda *_args: self._update())
        ui.downloadButton.clicked.connect(lambda *_args: self.download())
        ui.deleteModelButton.clicked.connect(lambda *_args: self.delete())
        ui.importButton.clicked.connect(lambda *_args: self.importWeights())
        for signal, slot in (
            (logic.engine.progress, self._onProgress), (logic.engine.finished, self._onFinished),
            (logic.engine.failed, self._onFailed), (logic.engine.cancelled, self._onCancelled),
        ):  # fmt: skip
            signal.connect(slot)

    def setParameters(self, parameters: Any) -> None:
        self._parameters = parameters
        box = self._ui.deviceSelector
        box.setCurrentIndex(max(0, box.findData(parameters.device)))

    def setScheme(self, schemeId: str) -> None:
        """List the models that know a scheme; keeps the chosen one where it does."""
        self._schemeId = schemeId
        self._cards = {card.id: card for card in knownCards() if schemeId in card.schemes}
        box = self._ui.modelSelector
        wasBlocked = box.blockSignals(True)
        box.clear()
        for card in self._cards.values():
            box.addItem(
                card.title if isReady(card) else _("{title} (needs download)").format(title=card.title), card.id
            )
        box.setCurrentIndex(max(0, box.findData(self._parameters.modelId)) if self._cards else -1)
        box.blockSignals(wasBlocked)
        self._onModel()

    @property
    def card(self) -> ModelCard | None:
        return self._cards.get(self._ui.modelSelector.itemData(self._ui.modelSelector.currentIndex) or "")

    @property
    def isBusy(self) -> bool:
        """Whether a download or an import is under way."""
        return self._job is not None

    def problem(self) -> str:
        """Why the chosen model cannot run; empty where it can."""
        if self.card is None:
            return _("No model knows the scheme '{scheme}'. Choose another scheme, or import weights for it.").format(
                scheme=self._schemeId
            )
        if not isReady(self.card):
            return _("The weights of '{model}' are not on this computer. Download or import them.").format(
                model=self.card.title
            )
        return _("Wait until the model is ready.") if self.isBusy else ""

    def download(self) -> None:
        self._start("download", id=self.card.id, accept_license=self._ui.licenceBox.checked)

    def importWeights(self) -> None:
        path = self._ui.weightsPath.currentPath
        if is_model_folder(Path(path)):  # it says itself what it is called and what it finds
            self._start("import", files=[path])
            return
        self._start("import", files=[path], id=self.card.id if self.card else None, scheme=self._schemeId)

    def delete(self) -> None:
        self._start("delete", id=self.card.id)

    def cancel(self) -> None:
        if self._job is not None:
            self._logic.engine.cancel(self._job)

    def _start(self, kind: str, **fields: Any) -> None:
        self._job = self._logic.request(kind, **fields)
        self.changed.emit()
        self._update()

    def _onProgress(self, job: int, fraction: float, text: str) -> None:
        if job == self._job:
            self.progressed.emit(fraction, text)

    def _onFinished(self, job: int, result: dict) -> None:
        if job == self._job:
            freed = result.get("freed_bytes")
            text = (
                _("The model is ready.") if freed is None else _("{size:.0f} MB were freed.").format(size=freed / 1e6)
            )
            self._end(text)
            self._tellOthers(result)

    def _tellOthers(self, result: dict) -> None:
        if "freed_bytes" in result:
            self.removed.emit()
        schemes = {card.id: list(card.schemes) for card in knownCards() if card.id in result.get("installed", ())}
        for modelId, schemeIds in schemes.items():
            if schemeIds and self._schemeId not in schemeIds:
                self.installed.emit(modelId, schemeIds[0])
                return

    def _onFailed(self, job: int, message: str, details: str) -> None:
        if job == self._job:
            self._end(message)

    def _onCancelled(self, job: int) -> None:
        if job == self._job:
            self._end(_("Cancelled."))

    def _end(self, text: str) -> None:
        self._job = None
        self.setScheme(self._schemeId)
        self.message.emit(text)

    def _onModel(self) -> None:
        if self.card is not None and self._parameters:
            self._parameters.modelId = self.card.id
        self._ui.licenceBox.setChecked(False)
        self._update()
        self.changed.emit()

    def _onDevice(self) -> None:
        if self._parameters:
            self._parameters.device = self._ui.deviceSelector.itemData(self._ui.deviceSelector.currentIndex)
            self._update()

    def _update(self) -> None:
        card = self.card
        self._ui.modelText.setText(self.problem() if card is None else self._text(card))
        self._ui.licenceText.setPlainText(card.licence.full_text(with_legal_text=not isReady(card)) if card else "")
        self._ui.licenceBox.setVisible(card is not None and not isReady(card))
        busy = _("Wait until the engine has done what it does now.") if self.isBusy else ""
        self._download.allow(busy or self._downloadProblem(card))
        self._delete.allow(busy or self._deleteProblem(card))
        self._import.allow(busy or ("" if self._ui.weightsPath.currentPath else _("Choose a file of weights first.")))

    def _text(self, card: ModelCard) -> str:
        parts = [_("Ready.") if isReady(card) else _("Not on this computer.")]
        if card.size_bytes:
            parts.append(_("{size:.0f} MB.").format(size=card.size_bytes / 1e6))
        device = "cpu" if not self._parameters or self._parameters.device in ("auto", "cpu") else "cuda"
        seconds = (card.expected_seconds or {}).get(device)
        if seconds is not None:
            parts.append(
                _("About {seconds:.2g} s per image ({device}).").format(seconds=seconds, device=device.upper())
            )
        for entry in card.accuracy:
            if entry.get("scheme") == self._schemeId:
                parts.append(
                    _("{metric} {value:g} {unit} on {dataset}.").format(
                        metric=entry["metric"][:1].upper() + entry["metric"][1:],
                        value=entry["value"],
                        unit=entry["unit"],
                        dataset=entry["dataset"],
                    )
                )
        parts.append(_("Licence: {licence}.").format(licence=card.licence.spdx))
        return escape(" ".join(parts))

    def _downloadProblem(self, card: ModelCard | None) -> str:
        if card is None or isReady(card):
            return _("There is nothing to download.")
        if card.source is None or not card.source.download_url:
            return _("These weights can only be imported from a file that you have.")
        if card.licence.noncommercial and not self._ui.licenceBox.checked:
            return _("Read the licence and accept it first.")
        return ""

    def _deleteProblem(self, card: ModelCard | None) -> str:
        if card is None or not isReady(card):
            return _("The weights of this model are not on this computer.")
        return _("This model is a part of MedLandmark.") if card.is_embedded else ""


def knownCards() -> list[ModelCard]:
    """The models that are here or may be had; the catalogue alone where the models folder cannot be asked for."""
    try:
        from ..models.inventory import known_models

        return known_models()
    except (ImportError, OSError, MedLandmarkError):
        return list(catalogue().values())


def isReady(card: ModelCard) -> bool:
    """Whether all files of a model are on this computer."""
    try:
        from ..models.inventory import missing_files

        return card.is_embedded or not missing_files(card)
    except (ImportError, OSError, MedLandmarkError):
        return False
