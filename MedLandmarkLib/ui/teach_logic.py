"""From annotated images of the scene to a model, through a worker of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from ..engine import POLL_INTERVAL_MS, Signal
from ..engine.teach_client import TeachClient
from ..errors import MedLandmarkError
from .detection_logic import headerOf
from .requirements import enginePython


class TeachLogic:
    """Runs one teaching, or one proposal, at a time. The scene is only read.

    Signals: progressed(fraction, text), detailed(details): phase, estimate and unit of a teaching; taught(result),
    proposed(result): the results of the engine's jobs "teach" and "propose"; failed(message, details), cancelled().
    """

    def __init__(self, scene: Any, engine: TeachClient | None = None) -> None:
        import qt

        self.scene = scene
        self.engine = engine or TeachClient(enginePython())
        self.progressed, self.detailed = Signal("fraction", "text"), Signal("details")
        self.taught, self.proposed = Signal("result"), Signal("result")
        self.failed, self.cancelled = Signal("message", "details"), Signal()
        self._job: int | None = None
        self._isTeaching = False
        self._modelId = ""
        self._isKeeping = False
        self._proposable: list[Any] = []
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.timeout.connect(self._poll)
        for signal, slot in (
            (self.engine.progress, self._onProgress), (self.engine.detailed, self._onDetailed),
            (self.engine.finished, self._onFinished), (self.engine.failed, self._onFailed),
            (self.engine.cancelled, self._onCancelled),
        ):  # fmt: skip
            signal.connect(slot)

    @property
    def isBusy(self) -> bool:
        """Whether a teaching or a proposal is under way."""
        return self._job is not None

    @property
    def isTeaching(self) -> bool:
        return self.isBusy and self._isTeaching

    def start(
        self,
        templates: Sequence[tuple[Any, Any]],
        volumes: Sequence[Any],
        folder: str,
        modelId: str,
        *,
        schemeId: str | None = None,
        withUnchecked: bool = False,
        method: str = "fusion",
        effort: float = 1.0,
        device: str = "auto",
    ) -> None:
        """Begin a teaching and return at once.

        templates: (points, image) nodes; volumes: unannotated images of the scene; folder: of others, or empty.
        schemeId: the scheme of the points; None makes one of their names. Raises MedLandmarkError for an input that
        cannot be used.
        """
        from ..mrml.teaching import taught_points

        self._requireIdle()
        taught = [taught_points(self.scene, points, volume, withUnchecked) for points, volume in templates]
        names = list(dict.fromkeys(name for one in taught for name in one.names))
        named = {"names": tuple(names)} if schemeId is None else {"scheme": schemeId}
        annotated = [
            (_namedImage(volume), _ofScheme(one.picture_xy, schemeId, points))
            for one, (points, volume) in zip(taught, templates, strict=True)
        ]
        images = [folder] if folder else []
        self._job = self.engine.teach(
            annotated,
            [*images, *map(_namedImage, volumes)],
            modelId,
            method=method,
            effort=effort,
            device=device,
            **named,
        )
        self._isTeaching, self._isKeeping, self._modelId = True, False, modelId
        logging.info(f"Teaching {modelId} ({method}) from {len(annotated)} annotated images")
        self._timer.start()

    def propose(self, volumes: Sequence[Any], folder: str) -> None:
        """Ask which image to annotate; `proposed` brings it. Raises MedLandmarkError."""
        self._requireIdle()
        self._proposable = [None] * bool(folder) + list(volumes)
        images = [folder] if folder else []
        self._job = self.engine.propose([*images, *map(_namedImage, volumes)])
        self._isTeaching = False
        self._timer.start()

    def proposedVolume(self, proposal: Mapping[str, Any]) -> Any | None:
        """The node that a proposal means; None where it is a file, or where the node has gone."""
        number = proposal.get("number")
        node = None if number is None else self._proposable[number]
        return node if node is not None and self.scene.IsNodePresent(node) else None

    def cancel(self) -> None:
        """Stop; a teaching that has a model ends with the best so far. A second time waits for nothing."""
        if self._job is not None:
            self.engine.cancel(self._job)

    def close(self) -> None:
        """Stop the engine; for when the module or the application is closed."""
        self._timer.stop()
        self.engine.stop()
        self._job = None

    def _requireIdle(self) -> None:
        if self.isBusy:
            raise MedLandmarkError(_("A teaching is under way; wait for it, or cancel it."))

    def _poll(self) -> None:
        self.engine.poll()
        if not self.engine.is_busy:
            self._timer.stop()

    def _onProgress(self, job: int, fraction: float, text: str) -> None:
        if job == self._job:
            self.progressed.emit(fraction, text)

    def _onDetailed(self, job: int, details: Mapping[str, Any]) -> None:
        if job == self._job:
            self.detailed.emit(details)

    def _onFinished(self, job: int, result: Mapping[str, Any]) -> None:
        if job == self._job:
            self._job = None
            (self.taught if self._isTeaching else self.proposed).emit(result)

    def _onFailed(self, job: int, message: str, details: str) -> None:
        if job == self._job:
            self._job = None
            logging.error(f"Teaching failed: {message}")
            self.failed.emit(message, details)

    def _onCancelled(self, job: int) -> None:
        """Where the worker was ended in the middle of a step, the best model that it had written is still kept."""
        if job != self._job:
            return
        if self._isTeaching and not self._isKeeping:
            self._isKeeping = True
            self._job = self.engine.keep_taught(self._modelId)
            return
        self._job = None
        self.cancelled.emit()


def _namedImage(volume: Any) -> tuple[str, Any]:
    from ..mrml.volume import image_from_volume

    return volume.GetName(), image_from_volume(volume, header_of=headerOf)


def _ofScheme(picture_xy: Mapping[str, Any], schemeId: str | None, points: Any) -> dict[str, Any]:
    """The points that the scheme knows, by name or code. Raises MedLandmarkError where it knows none."""
    if schemeId is None:
        return dict(picture_xy)
    from ..scheme import load_scheme

    scheme = load_scheme(schemeId)
    names = {landmark.label: landmark.name for landmark in scheme.landmarks} | {name: name for name in scheme.names}
    known = {names[label]: xy for label, xy in picture_xy.items() if label in names}
    if not known:
        raise MedLandmarkError(
            _("No point of '{points}' is named after a landmark of {scheme}: {names}, ...").format(
                points=points.GetName(), scheme=scheme.title, names=", ".join(scheme.names[:4])
            )
        )
    return known
