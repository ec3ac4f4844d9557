"""Teaching in the worker: a model from annotated and unannotated images, and which image to annotate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DatasetError, DetectionCancelled, EngineError, ModelError
from .detector_shelf import DetectorShelf
from .jobs import JobContext
from .pictures_exchange import write_pictures
from .teach_request import TeachJob

if TYPE_CHECKING:
    from ..oneshot.request import SetAside, TeachProgress, TeachRequest, TeachResult
    from ..scheme import Scheme

_RUNS = "runs"  # in the user's folder: one folder for each teaching, by the model's id
_PICTURES = "pictures"  # in a run's folder: the images of the scene as files
_MODEL = "model"  # in a run's folder: the best so far
_READ = 0.02  # share of the job until the teaching itself begins


def teach_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """fields: as in TeachJob. The model, what was set aside, the estimate, and whether the teaching came to its end.

    {"model_id", "scheme", "folder", "set_aside": [{"name", "reason"}], "remarks", "estimate", "unit", "complete"}; the
    same request again goes on from where it stopped. Progress tells "phase", "estimate" and "unit". A cancelled one
    ends with the best model so far where there is one. Raises the library's errors, DetectionCancelled, and ImportError
    without torch.
    """
    context.keeps_result = True
    job = TeachJob.from_fields(fields)
    context.progress(0.0, "Reading the images")
    from ..oneshot.teaching import teach

    folder = _run_folder(job)
    _require_free(job, folder)
    request, names, remarks = _request(job, folder)
    if context.should_stop():
        raise DetectionCancelled("The teaching was stopped before it began.")
    result = teach(request, folder, device=job.device, progress=_reporter(context), should_stop=context.should_stop)
    return _document(job, request.scheme, _installed(job, result, request.scheme, shelf), names, remarks, result)


def keep_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """fields: model_id. Install the best model of a teaching whose worker was ended: the document of `teach_job`.

    Raises DetectionCancelled where the teaching had no model yet, and ModelError.
    """
    from ..models.catalogue import read_card
    from ..models.folder import CARD_NAME
    from ..models.store import import_model

    job = TeachJob(str(fields.get("model_id") or ""), templates=(), images=(), names=())
    folder = _run_folder(job)
    _require_free(job, folder)
    if not (folder / _MODEL / CARD_NAME).is_file():
        raise DetectionCancelled("The teaching was stopped before there was a model.")
    scheme_id = next(iter(read_card(folder / _MODEL / CARD_NAME).schemes))
    shelf.clear()
    (card,) = import_model([folder / _MODEL], job.model_id, force=True)
    kept = {"model_id": card.id, "scheme": scheme_id, "folder": str(card.folder), "complete": False}
    return kept | {"set_aside": [], "remarks": [], "estimate": None, "unit": "px"}


def propose_job(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """fields: images: paths, folders, and images of the scene; count. Which of them to annotate, best first.

    {"proposals": [{"name", "path", "number", "reason"}], "set_aside", "remarks"}; number: the place of an image of the
    scene among the request's images; null for a file. Raises the library's errors, DetectionCancelled.
    """
    import tempfile

    images, count = fields.get("images"), fields.get("count", 1)
    if not isinstance(images, list) or not isinstance(count, int):
        raise EngineError("A proposal needs 'images', a list, and may have 'count', a number.")
    from ..oneshot.choice import propose_template

    with tempfile.TemporaryDirectory(prefix="medlandmark-") as temporary:
        paths, names, numbers, remarks = _files(images, Path(temporary))
        found = propose_template(paths, count=count, progress=context.progress, should_stop=context.should_stop)
        proposals = [
            {
                "name": names.get(one.path, one.path.name),
                "path": None if one.path in numbers else str(one.path),
                "number": numbers.get(one.path),
                "reason": one.reason,
            }
            for one in found
        ]
        set_aside = _set_aside(getattr(found, "set_aside", ()), names)
    return {"proposals": proposals, "set_aside": set_aside, "remarks": list(remarks)}


def _run_folder(job: TeachJob) -> Path:
    from ..models.folder import checked_id
    from ..resources import user_folder

    return Path(job.folder) if job.folder else user_folder() / _RUNS / checked_id(job.model_id)


def _require_free(job: TeachJob, folder: Path) -> None:
    """Raise ModelError where another model has the name; that of the same run may be replaced by a better one."""
    from ..models.catalogue import catalogue, read_card
    from ..models.folder import CARD_NAME, checked_id, model_folder

    if not job.install:
        return
    shipped = catalogue().get(checked_id(job.model_id))
    own = folder / _MODEL / CARD_NAME
    installed = model_folder(job.model_id)
    is_own = own.is_file() and installed.joinpath(CARD_NAME).is_file()
    is_own = is_own and read_card(own).sha256 == read_card(installed / CARD_NAME).sha256
    if shipped is not None or (installed.exists() and not is_own):
        raise ModelError(f"There is a model '{job.model_id}' already. Choose another name, or delete that model first.")


def _request(job: TeachJob, folder: Path) -> tuple[TeachRequest, dict[Path, str], tuple[str, ...]]:
    """The request of the library, how the images are called where they came from the scene, and remarks."""
    from ..oneshot.own_landmarks import scheme_of_names
    from ..oneshot.request import TeachRequest, TeachSettings, Template
    from ..oneshot.unannotated import require_enough, unannotated_images
    from ..scheme import load_scheme

    scheme = scheme_of_names(job.names, job.model_id, folder) if job.names else load_scheme(job.scheme)
    everything = [template["image"] for template in job.templates] + list(job.images)
    in_scene = [image for image in everything if isinstance(image, dict)]
    files = write_pictures(in_scene, folder / _PICTURES)
    names = {files[number]: str(image.get("name", "")) for number, image in enumerate(in_scene)}
    place = {id(image): files[number] for number, image in enumerate(in_scene)}
    templates = tuple(
        Template(_path_of(template["image"], place), _points(template["points"], scheme)) for template in job.templates
    )
    unannotated, remarks = unannotated_images([_path_of(image, place) for image in job.images])
    unannotated = tuple(path for path in unannotated if path.resolve() not in _loaded_from(job))
    require_enough(templates, unannotated)
    settings = TeachSettings(job.method, job.canvas_wh, float(job.effort), job.seed)
    return TeachRequest(scheme, templates, unannotated, job.model_id, settings), names, remarks


def _loaded_from(job: TeachJob) -> set[Path]:
    """The files that annotated images of the scene were loaded from: they are no unannotated images."""
    images = [template["image"] for template in job.templates]
    return {Path(image["path"]).resolve() for image in images if isinstance(image, dict) and image.get("path")}


def _path_of(image: str | dict[str, Any], place: Mapping[int, Path]) -> Path:
    return place[id(image)] if isinstance(image, dict) else Path(image).expanduser()


def _points(points: Mapping[str, Sequence[float]], scheme: Scheme) -> Any:
    """(K, 2) in the scheme's order, NaN where it was not annotated."""
    import numpy as np

    picture_xy = np.full((len(scheme), 2), np.nan)
    for name, point in points.items():
        picture_xy[scheme.index(name)] = point
    if not np.isfinite(picture_xy).any():
        raise DatasetError("A template has no annotated landmark; place at least one.")
    return picture_xy


def _files(
    images: Sequence[Any], folder: Path
) -> tuple[tuple[Path, ...], dict[Path, str], dict[Path, int], tuple[str, ...]]:
    """Image files; names and places in the request of those that came from the scene; remarks."""
    from ..oneshot.unannotated import unannotated_images

    in_scene = [(number, image) for number, image in enumerate(images) if isinstance(image, dict)]
    written = write_pictures([image for _number, image in in_scene], folder)
    files = {number: written[order] for order, (number, _image) in enumerate(in_scene)}
    paths = [files[number] if number in files else Path(image).expanduser() for number, image in enumerate(images)]
    found, remarks = unannotated_images(paths)
    names = {files[number]: str(image.get("name", "")) for number, image in in_scene}
    return found, names, {path: number for number, path in files.items()}, remarks


def _reporter(context: JobContext) -> Callable[[TeachProgress], None]:
    def report(progress: TeachProgress) -> None:
        fraction = _READ + (1 - _READ) * progress.fraction
        context.progress(fraction, progress.text, phase=progress.phase, estimate=progress.estimate, unit=progress.unit)

    return report


def _installed(job: TeachJob, result: TeachResult, scheme: Scheme, shelf: DetectorShelf) -> Path:
    """Where the model is in the end."""
    from ..models.store import import_model
    from ..oneshot.own_landmarks import with_own_scheme

    with_own_scheme(result, scheme)
    if not job.install:
        return result.model
    shelf.clear()  # a model that is being replaced must not stay open
    (card,) = import_model([result.model], job.model_id, force=True)
    return card.folder


def _set_aside(set_aside: Sequence[SetAside], names: Mapping[Path, str]) -> list[dict[str, str]]:
    from ..oneshot.unannotated import plain_reason

    return [{"name": names.get(item.path, item.path.name), "reason": plain_reason(item)} for item in set_aside]


def _document(
    job: TeachJob,
    scheme: Scheme,
    folder: Path,
    names: Mapping[Path, str],
    remarks: Sequence[str],
    result: TeachResult,
) -> dict[str, Any]:
    return {
        "model_id": job.model_id,
        "scheme": scheme.id,
        "folder": str(folder),
        "set_aside": _set_aside(result.set_aside, names),
        "remarks": list(remarks),
        "estimate": None if result.estimate is None else float(result.estimate),
        "unit": result.unit,
        "complete": bool(result.is_complete),
    }
