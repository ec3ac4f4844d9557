"""Section Clip: the frames of a result through time, its curves and values, and the way to any frame."""

from __future__ import annotations

import math
from typing import Any

from slicer.i18n import tr as _

from ..errors import MedLandmarkError
from ..measure.cine import CineValue
from .explained import Explained
from .review_panel import ReviewPanel, setCell
from .status_marks import statusIcon, statusText

_DIGITS = {"deg": 1, "%": 1, "ratio": 2, "mm": 1, "px": 1, "ml": 1, "g": 0}


class ClipPanel:
    """Shows the clip of the result under review; the section is hidden for a result in a single image.

    showPlot(plot, goTo) shows a chart and calls goTo(frame) where the user selects one of its points.
    """

    def __init__(self, ui: Any, reviewPanel: ReviewPanel, showPlot: Any, say: Any) -> None:
        self._ui, self._reviewPanel, self._showPlot, self._say = ui, reviewPanel, showPlot, say
        self._revert, self._plot = Explained(ui.revertFrameButton), Explained(ui.plotButton)
        header = ui.frameTable.horizontalHeader()
        header.setStretchLastSection(True)
        ui.valueTable.horizontalHeader().setStretchLastSection(True)
        ui.valueTable.setColumnWidth(0, 165)
        ui.valueTable.setColumnWidth(1, 100)
        ui.frameSlider.valueChanged.connect(lambda *_args: self.goTo(ui.frameSlider.value))
        ui.frameTable.itemSelectionChanged.connect(self._onRow)
        ui.playButton.clicked.connect(lambda *_args: self.play(ui.playButton.checked))
        ui.revertFrameButton.clicked.connect(lambda *_args: self.revertFrame())
        ui.plotButton.clicked.connect(lambda *_args: self.showPlot())
        reviewPanel.opened.connect(self._onOpened)

    @property
    def review(self) -> Any | None:
        """The review of a clip; None while none is under review."""
        from ..mrml import ClipReview

        review = self._reviewPanel.review
        return review if isinstance(review, ClipReview) else None

    def goTo(self, frame: int) -> None:
        """Show a frame, from 0."""
        if self.review is None or frame == self.review.frame:
            return
        try:
            self.review.go_to(frame)
        except MedLandmarkError as error:
            self._say(str(error))

    def play(self, playing: bool) -> None:
        """Let the frames follow each other, or stop."""
        if self.review is not None:
            self.review.browser.SetPlaybackActive(bool(playing))

    def revertFrame(self) -> None:
        """Leave the frame that is shown to the model again."""
        if self.review is not None:
            self.review.revert_frame()

    def showPlot(self) -> None:
        """Show the curves in a plot view."""
        if self.review is not None:
            self._showPlot(self.review.plot, self.goTo)

    def _onOpened(self) -> None:
        review = self.review
        self._ui.clipSection.setVisible(review is not None)
        if review is not None:
            review.on_track, review.on_frame = self._onTrack, self._onFrame
            self._ui.frameSlider.setMaximum(len(review.track) - 1)
            self._onTrack()
        else:
            self._ui.frameTable.setRowCount(0)
            self._ui.valueTable.setRowCount(0)
            self._updateButtons()

    def _onTrack(self) -> None:
        self._showFrames()
        self._showValues()
        self._ui.clipSummary.setText(summaryText(self.review))
        self._onFrame()

    def _onFrame(self) -> None:
        """Bring slider, table and label to the frame that is shown."""
        review, ui = self.review, self._ui
        if review is None:
            return
        frame = review.frame
        for widget in (ui.frameSlider, ui.frameTable):
            widget.blockSignals(True)
        ui.frameSlider.setValue(frame)
        ui.frameTable.selectRow(frame)
        for widget in (ui.frameSlider, ui.frameTable):
            widget.blockSignals(False)
        ui.frameLabel.setText(frameText(review))
        playing = bool(review.browser.GetPlaybackActive())
        ui.playButton.setChecked(playing)
        ui.playButton.setText(_("Stop") if playing else _("Play"))
        self._updateButtons()

    def _onRow(self) -> None:
        if self._ui.frameTable.selectedItems():
            self.goTo(self._ui.frameTable.currentRow())

    def _updateButtons(self) -> None:
        review = self.review
        noClip = "" if review else _("There is no result of a clip.")
        self._plot.allow(
            noClip or ("" if review.measurement else _("The scheme does not say what is measured through a clip."))
        )
        isFixed = review is not None and bool(review.track.fixed.get(review.frame))
        self._revert.allow(noClip or ("" if isFixed else _("Nobody has corrected this frame.")))

    def _showFrames(self) -> None:
        from ..mrml.clip_tables import column_name, phases_of

        review, table = self.review, self._ui.frameTable
        curves = review.measurement.curves if review.measurement else ()
        phases, times_s = phases_of(review.measurement), review.track.times_s
        headings = [_("Frame"), _("Time, s"), _("Phase"), _("Corrected"), *(column_name(curve) for curve in curves)]
        table.blockSignals(True)
        table.setColumnCount(len(headings))
        table.setHorizontalHeaderLabels(headings)
        for column, width in enumerate((48, 58, 48, 70, *(150 for _curve in curves))):
            table.setColumnWidth(column, width)
        table.setRowCount(len(review.track))
        for frame in range(len(review.track)):
            fixed = review.track.fixed.get(frame, {})
            texts = [str(frame), "" if times_s is None else f"{times_s[frame]:.3f}", " ".join(phases.get(frame, ()))]
            for column, text in enumerate([*texts, str(len(fixed)) if fixed else ""]):
                setCell(table, frame, column, text).setToolTip(", ".join(fixed))
            for column, curve in enumerate(curves, start=len(texts) + 1):
                value = float(curve.values[frame])
                text = "" if math.isnan(value) else f"{value:.{_DIGITS.get(curve.unit, 1)}f}"
                cell = setCell(table, frame, column, text)
                cell.setIcon(statusIcon(curve.statuses[frame]))
                cell.setToolTip(curve.reasons[frame] or statusText(curve.statuses[frame]))
        table.blockSignals(False)

    def _showValues(self) -> None:
        review, table = self.review, self._ui.valueTable
        values = review.measurement.values if review.measurement else ()
        table.setRowCount(len(values))
        for row, value in enumerate(values):
            remark = "\n".join(part for part in (value.title, value.reason, value.source) if part)
            for column, text in enumerate((value.name, valueText(value), statusText(value.status))):
                setCell(table, row, column, text).setToolTip(remark)
            table.item(row, 1).setIcon(statusIcon(value.status))


def frameText(review: Any) -> str:
    """Which frame is shown, when it is, and whether somebody corrected it."""
    from ..mrml.clip_tables import phases_of

    frame, times_s = review.frame, review.track.times_s
    parts = [_("Frame {frame} of {count}").format(frame=frame, count=len(review.track))]
    if times_s is not None:
        parts.append(_("{seconds:.3f} s").format(seconds=times_s[frame]))
    names = {"ED": _("end-diastole"), "ES": _("end-systole")}
    parts += [names[phase] for phase in phases_of(review.measurement).get(frame, ())]
    if review.track.fixed.get(frame):
        parts.append(_("corrected"))
    return ", ".join(parts)


def summaryText(review: Any) -> str:
    """Beats, heart rate, corrected frames and the notes of the measurement."""
    measured = review.measurement
    if measured is None:
        return _("The scheme does not say what is measured through a clip.")
    sentences = [_("Beats: {count}.").format(count=len(measured.beats))]
    if measured.heart_rate.bpm is not None:
        sentences.append(
            _("Heart rate: {rate:.0f}/min ({source}).").format(
                rate=measured.heart_rate.bpm, source=measured.heart_rate.source
            )
        )
    if review.track.key_frames:
        frames = ", ".join(str(frame) for frame in review.track.key_frames)
        sentences.append(_("Corrected frames: {frames}.").format(frames=frames))
    return " ".join([*sentences, *measured.notes])


def valueText(value: CineValue) -> str:
    """Mean and spread with their unit; a doubtful one has a question mark."""
    if value.mean is None:
        return statusText(value.status)
    digits = _DIGITS.get(value.unit, 1)
    unit = {"ratio": "", "deg": "°"}.get(value.unit, value.unit)
    spread = "" if value.sd is None else f" ± {value.sd:.{digits}f}"
    text = f"{value.mean:.{digits}f}{spread} {unit}".rstrip()
    return _("{value} ?").format(value=text) if value.status.value == "doubtful" else text
