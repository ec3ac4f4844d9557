"""From annotated images of the scene to a model, through a worker of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from ..engine import Signal
from ..engine.teach_client import TeachClient
from ..errors import MedLandmarkError
from .detection_logic import headerOf
from .engine_logic import EngineLogic
from .requirements import enginePython


class TeachLogic(EngineLogic):
    """Runs one teaching, or one proposal, at a time. The scene is only read.

    More signals: detailed(details): phase, estimate and unit of a teaching; taught(result), proposed(result): the
    results of the engine's jobs "teach" and "propose".
    """

    JOB = "teaching"

    def __init__(self, scene: Any, engine: TeachClient | None = None) -> None:
        super().__init__(scene, engine or TeachClient(enginePython()))
        self.detailed, self.taught, self.proposed = Signal("details"), Signal("result"), Signal("result")
        self._isTeaching = False
        self._modelId = ""
        self._isKeeping = False
        self._proposable: list[Any] = []
        self.engine.detailed.connect(self._onDetailed)

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

    def _onDetailed(self, job: int, details: Mapping[str, Any]) -> None:
        if job == self._job:
            self.detailed.emit(details)

    @property
    def _busyText(self) -> str:
        return _("A teaching is under way; wait for it, or cancel it.")

    def _take(self, result: Mapping[str, Any]) -> None:
        (self.taught if self._isTeaching else self.proposed).emit(result)

    def _onCancelled(self, job: int) -> None:
        """Where the worker was ended in the middle of a step, the best model that it had written is still kept."""
        if job == self._job and self._isTeaching and not self._isKeeping:
            self._isKeeping = True
            self._job = self.engine.keep_taught(self._modelId)
        else:
            super()._onCancelled(job)


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
