"""What a volume can be run on besides the slice in view, and the options of each: a sweep, a projection, a tooth."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..engine import Signal
from ..engine.detect_request import CEPHALOGRAM
from ..errors import MedLandmarkError
from ..plane import DIRECTIONS
from ..plane.projection import KINDS
from ..plane.tooth import tooth_plane
from .picture_shown import cutShown

WHOLE, PROJECTION, TOOTH = "volume", "projection", "tooth"  # targets, beside the names of the slice views
_LABIAL = {"front": (0.0, 1.0, 0.0), "right": (1.0, 0.0, 0.0), "left": (-1.0, 0.0, 0.0)}


class VolumeOptions:
    """The widgets below "Run on", of which those of the chosen target are shown. Signal: changed(), by a moved point.

    The options stand in the parameter node, so that a scene brings them back.
    """

    def __init__(self, ui: Any, app: Any) -> None:
        self._ui, self._app = ui, app
        self._parameters: Any = None
        self.changed = Signal()
        self._line, self._lineTag = None, None
        for text, side in (
            (_("the front"), "front"), (_("the patient's right"), "right"), (_("the patient's left"), "left"),
        ):  # fmt: skip
            ui.labialSelector.addItem(text, side)
        for text, kind in (
            (_("Radiograph (CT in Hounsfield units)"), "radiograph"),
            (_("Maximum"), "maximum"),
            (_("Mean"), "mean"),
            (_("Lateral cephalogram of a head CT"), CEPHALOGRAM),
        ):
            ui.projectionSelector.addItem(text, kind)
        for name in app.layoutManager().sliceViewNames():
            ui.projectionViewSelector.addItem(_("through the {view} view").format(view=name), name)
        self._boxes = {
            ui.projectionSelector: "projectionKind", ui.projectionViewSelector: "projectionView",
            ui.labialSelector: "labialSide",
        }  # fmt: skip
        for box in self._boxes:
            box.currentIndexChanged.connect(lambda *_args, box=box: self._onBox(box))

    def setParameters(self, parameters: Any) -> None:
        self._parameters = parameters

    @staticmethod
    def targets() -> list[tuple[str, str]]:
        """Text and name of what a volume can be run on besides its slices."""
        return [
            (_("The whole volume"), WHOLE),
            (_("A projection of the volume"), PROJECTION),
            (_("Along a tooth"), TOOTH),
        ]

    def update(self, target: str) -> None:
        """Show the options of a target, as the parameters have them."""
        for name, widget in (
            (WHOLE, self._ui.sweepOptions), (PROJECTION, self._ui.projectionOptions), (TOOTH, self._ui.toothOptions),
        ):  # fmt: skip
            widget.setVisible(target == name)
        for box, name in self._boxes.items():
            wasBlocked = box.blockSignals(True)
            box.setCurrentIndex(max(0, box.findData(getattr(self._parameters, name))))
            box.blockSignals(wasBlocked)
        isCephalogram = self._choice(self._ui.projectionSelector) == CEPHALOGRAM
        self._ui.projectionViewSelector.setEnabled(not isCephalogram)
        self._ui.slabDepthBox.setEnabled(not isCephalogram)
        self._follow(self._parameters.toothLine)

    def choices(self, target: str, volume: Any) -> dict[str, Any]:
        """The arguments of DetectionLogic.start for a target. Raises MedLandmarkError where something is missing."""
        if target == WHOLE:
            return {"directions": self._directions()}
        return {"projection": self._projection(volume)} if target == PROJECTION else {"plane": self._toothPlane()}

    def _directions(self) -> tuple[str, ...]:
        boxes = (self._ui.sagittalBox, self._ui.coronalBox, self._ui.axialBox)
        chosen = tuple(name for name, box in zip(DIRECTIONS, boxes, strict=True) if box.checked)
        if not chosen:
            raise MedLandmarkError(_("Choose at least one direction of the planes that sweep the volume."))
        return chosen

    def _projection(self, volume: Any) -> dict[str, Any]:
        kind = self._choice(self._ui.projectionSelector)
        if kind not in KINDS:
            return {"kind": kind}
        view = self._app.layoutManager().sliceWidget(self._choice(self._ui.projectionViewSelector))
        plane = cutShown(view.mrmlSliceNode(), volume)
        return {"kind": kind, "plane": plane.to_fields(), "depth_mm": self._ui.slabDepthBox.value or None}

    def _toothPlane(self) -> Any:
        line = self._parameters.toothLine
        if line is None or line.GetNumberOfDefinedControlPoints() < 2:
            raise MedLandmarkError(_("Place a line along the tooth, from its crown to its apex, and choose it."))
        ends = [line.GetNthControlPointPositionWorld(number) for number in (0, 1)]
        return tooth_plane(*ends, _LABIAL[self._choice(self._ui.labialSelector)])

    def _onBox(self, box: Any) -> None:
        if self._parameters:
            setattr(self._parameters, self._boxes[box], self._choice(box))

    @staticmethod
    def _choice(box: Any) -> str:
        return box.itemData(box.currentIndex) or ""

    def _follow(self, line: Any | None) -> None:
        """Hear when a point of the tooth's line is placed or moved."""
        if line is self._line:
            return
        if self._line is not None:
            self._line.RemoveObserver(self._lineTag)
        self._line = line
        if line is not None:
            self._lineTag = line.AddObserver(line.PointModifiedEvent, lambda *_args: self.changed.emit())
