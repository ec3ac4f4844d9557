"""Section Input: the image, which picture of it is used, and its calibration."""

from __future__ import annotations

import math
from typing import Any

from slicer.i18n import tr as _

from ..engine import Signal
from ..errors import MedLandmarkError
from ..image.limits import check_ijk_to_ras
from .detection_logic import headerOf
from .explained import Explained
from .picture_shown import pictureShown
from .volume_options import PROJECTION, TOOTH, WHOLE, VolumeOptions

CLIP, FRAME = "clip", "frame"  # of a volume sequence: all frames, or the one that is shown


class InputPanel:
    """Shows what is known of the image, and calibrates it by a ruler.

    Signals: changed(): another image or target; calibrated(): its pixel size is another now.
    """

    def __init__(self, ui: Any, scene: Any, app: Any) -> None:
        self._ui, self._scene, self._app = ui, scene, app
        self._parameters: Any = None
        self.changed = Signal()
        self.calibrated = Signal()
        self._calibrate, self._header = Explained(ui.calibrateButton), Explained(ui.headerButton)
        self._target = Explained(ui.targetSelector)
        self._volumeOptions = VolumeOptions(ui, app)
        self._volumeOptions.changed.connect(self.changed.emit)
        ui.calibrateButton.clicked.connect(lambda *_args: self.calibrate())
        ui.headerButton.clicked.connect(lambda *_args: self.applyHeader())
        ui.targetSelector.currentIndexChanged.connect(lambda *_args: self._onTarget())

    def setParameters(self, parameters: Any) -> None:
        self._parameters = parameters
        self._volumeOptions.setParameters(parameters)
        self.update()

    @property
    def volume(self) -> Any | None:
        return self._parameters.inputVolume if self._parameters else None

    def problem(self) -> str:
        """Why nothing can be detected in the chosen input; empty where it can."""
        from ..mrml.calibration import ijk_to_ras
        from ..mrml.volume import check_volume

        try:
            check_volume(self.volume)
            check_ijk_to_ras(ijk_to_ras(self.volume))
            self.picture()
        except MedLandmarkError as error:
            return str(error)
        return ""

    def picture(self) -> dict[str, Any]:
        """Which picture of the image is used, as arguments of DetectionLogic.start. Raises MedLandmarkError.

        An image of one slice is used whole; where it is a frame of a clip, all frames or this one. Of a volume it is
        the stored slice that the chosen view shows or, where the view cuts across them, the cut, as far as it is in
        view; or what `VolumeOptions` says.
        """
        name = self._chosenTarget()
        if self.volume.GetImageData().GetDimensions()[2] == 1:
            return {"clip": True} if name == CLIP else {}
        if name in (WHOLE, PROJECTION, TOOTH):
            return self._volumeOptions.choices(name, self.volume)
        widget = self._app.layoutManager().sliceWidget(name)
        return pictureShown(widget.mrmlSliceNode(), self.volume)

    def update(self) -> None:
        """Bring all widgets to the state of the scene."""
        self._fillTargets()
        self._volumeOptions.update(self._chosenTarget())
        self._ui.calibrationLabel.setText(self._calibrationText())
        self._calibrate.allow(self._calibrationProblem())
        self._header.allow(self._headerProblem())

    def calibrate(self) -> None:
        """Calibrate the image by the chosen line and its true length."""
        from ..mrml import calibrate_by_ruler

        problem = self._calibrationProblem()
        if problem:
            self._ui.calibrationLabel.setText(problem)
            return
        ruler, length = self._parameters.ruler, self._parameters.rulerLength
        try:
            _calibration, warnings = calibrate_by_ruler(self._scene, self.volume, ruler, length, headerOf)
        except MedLandmarkError as error:
            self._ui.calibrationLabel.setText(str(error))
            return
        self.update()
        if warnings:
            self._ui.calibrationLabel.setText(" ".join([self._ui.calibrationLabel.text, *warnings]))
        self.calibrated.emit()

    def applyHeader(self) -> None:
        """Show the image with the pixel size that its header states: Slicer may have loaded it with another."""
        from ..mrml import calibrate_by_header

        try:
            calibrate_by_header(self._scene, self.volume, headerOf)
        except MedLandmarkError as error:
            self._ui.calibrationLabel.setText(str(error))
            return
        self.update()
        self.calibrated.emit()

    def _chosenTarget(self) -> str:
        return self._ui.targetSelector.itemData(self._ui.targetSelector.currentIndex) or ""

    def _onTarget(self) -> None:
        if self._parameters:
            self._parameters.target = self._chosenTarget()
            self._volumeOptions.update(self._chosenTarget())
            self.changed.emit()

    def _fillTargets(self) -> None:
        """The image; all frames or one of a clip; or of a volume the slice in each view, and the `VolumeOptions`."""
        from ..mrml import frames_of

        box, volume = self._ui.targetSelector, self.volume
        isVolume = volume is not None and volume.GetImageData() is not None
        isVolume = isVolume and volume.GetImageData().GetDimensions()[2] > 1
        count = frames_of(self._scene, volume)
        entries = [(_("The image"), "")]
        if count > 1:
            entries = [(_("All {count} frames of the clip").format(count=count), CLIP), (_("The frame shown"), FRAME)]
        elif isVolume:
            names = self._app.layoutManager().sliceViewNames()
            entries = [(_("The slice shown in the {view} view").format(view=name), name) for name in names]
            entries += self._volumeOptions.targets()
        wasBlocked = box.blockSignals(True)
        if [box.itemText(number) for number in range(box.count)] != [text for text, _name in entries]:
            box.clear()
            for text, name in entries:
                box.addItem(text, name)
        box.setCurrentIndex(max(0, box.findData(self._parameters.target if self._parameters else "")))
        box.blockSignals(wasBlocked)
        self._target.allow(
            "" if len(entries) > 1 else _("Only a clip, or a volume with several slices, offers a choice.")
        )

    def _calibrationText(self) -> str:
        from ..mrml.calibration import volume_calibration
        from ..mrml.volume import check_volume

        try:
            check_volume(self.volume)
            calibration = volume_calibration(self.volume, headerOf)
        except MedLandmarkError as error:
            return str(error)
        if calibration.spacing_mm is None:
            return _("None, lengths are in pixels: {reason}.").format(reason=calibration.source)
        x, y = calibration.spacing_mm
        size = f"{x:.4g} mm" if math.isclose(x, y, rel_tol=1e-6) else f"{x:.4g} × {y:.4g} mm"
        kinds = {
            "calibrated": _("Calibrated, {size} per pixel: {source}."),
            "detector-plane": _("On the detector, {size} per pixel; in the patient less: {source}."),
        }
        return kinds[calibration.kind].format(size=size, source=calibration.source)

    def _headerProblem(self) -> str:
        from ..mrml.calibration import stated_calibration, volume_calibration
        from ..mrml.volume import check_volume

        try:
            check_volume(self.volume)
            if stated_calibration(self.volume, headerOf).kind == "none":
                return _("The header of the image states no pixel size.")
            if volume_calibration(self.volume, headerOf).kind != "none":
                return _("The image has the pixel size that its header states.")
        except MedLandmarkError as error:
            return str(error)
        return ""

    def _calibrationProblem(self) -> str:
        ruler = self._parameters.ruler if self._parameters else None
        if self.volume is None or self.volume.GetImageData() is None:
            return _("Choose an image first.")
        if ruler is None or ruler.GetNumberOfDefinedControlPoints() < 2:
            return _("Choose a line with two placed ends first (Markups module, or the button in the toolbar).")
        return ""
