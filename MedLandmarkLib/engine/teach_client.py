"""The client of a worker of its own for teaching, which takes hours: detections go on beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .client import EngineClient
from .client_jobs import ClientJob
from .image_exchange import require_sendable
from .pictures_exchange import pictures_fields, write_all_pixels
from .protocol import Message, Progress
from .signal import Signal
from .teach_request import TeachJob

if TYPE_CHECKING:
    from ..image import Image

    NamedImage = tuple[str, Image]  # what the image is called, and the image

# After a cancel: to end the step, and to write and install the best model so far. A second cancel does not wait for it.
# Where the worker is ended instead, `keep_taught` still installs what the teaching had written.
FINISH_S = 1.0


class TeachClient(EngineClient):
    """`detailed(job, details)` comes before `progress` where a job tells more: its phase, the estimate and its unit."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.detailed = Signal("job", "details")

    def teach(
        self,
        templates: Sequence[tuple[str | NamedImage, Mapping[str, Sequence[float]]]],
        images: Sequence[str | NamedImage],
        model_id: str,
        **settings: Any,
    ) -> int:
        """Ask for a teaching; the number of the job.

        templates: annotated images with the pixel (x, y) of each landmark by name; images: unannotated ones. An image
        is the path of a file (a folder, for the unannotated) or a name with an Image, whose pixels go to the worker by
        a temporary file: leave the arrays alone until the job is over. settings: the other fields of TeachJob.
        Raises EngineError for arguments that make no sense.
        """
        job, sent = self._job("teach", [image for image, _points in templates] + list(images))
        points = [{name: [float(value) for value in point] for name, point in own.items()} for _image, own in templates]
        annotated = [{"image": image, "points": own} for image, own in zip(sent[: len(templates)], points, strict=True)]
        asked = TeachJob(model_id, tuple(annotated), tuple(sent[len(templates) :]), **settings)
        job.fields, job.finish_s = asked.to_fields(), FINISH_S
        return self._send(job)

    def keep_taught(self, model_id: str) -> int:
        """Ask for the best model of a teaching whose worker was ended; the number of the job."""
        return self.request("keep_taught", {"model_id": model_id})

    def propose(self, images: Sequence[str | NamedImage], count: int = 1) -> int:
        """Ask which images are most worth annotating; the number of the job."""
        job, sent = self._job("propose", list(images))
        job.fields = {"images": sent, "count": count}
        return self._send(job)

    def _job(self, kind: str, images: list[str | NamedImage]) -> tuple[ClientJob, list[str | dict[str, Any]]]:
        """A job with the images as they are sent; pixels are still to be written."""
        self._to_write = [image for image in images if not isinstance(image, str)]
        for _name, image in self._to_write:
            require_sendable(image)
        if not self._to_write:
            return ClientJob(self._next_id(), kind), list(images)
        job = self._files.job(self._next_id(), kind)
        fields = iter(pictures_fields(self._to_write, job.file))
        return job, [image if isinstance(image, str) else next(fields) for image in images]

    def _send(self, job: ClientJob) -> int:
        if job.file is not None:
            self._files.write(job, partial(write_all_pixels, self._to_write))
        self._to_write = []
        return self._add(job)

    def _take_news(self, job: ClientJob, news: Message) -> None:
        if isinstance(news, Progress) and news.details:
            self._emissions.append((self.detailed, job.id, news.details))
        super()._take_news(job, news)
