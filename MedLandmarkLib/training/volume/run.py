"""A whole training on a dataset of volumes: from its folder to a model folder that describes itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ...dataset import read_dataset
from ...detection.volume import VolumeDetector
from ...detection.volume.confidence import fitted_spread
from ...detection.volume.knowledge import PlaneGeometry, VolumeKnowledge
from ...detection.volume.shape import similarity
from ...errors import DatasetError
from ...models.lite import LiteNetwork
from ...models.store import load_model
from ...scheme import Scheme, load_scheme
from ..canvases import Task
from ..initial_weights import load_imagenet_trunk
from ..memory import keep_freed_memory
from ..model_folder import write_model_folder
from ..recipe import Recipe
from ..tasks import TaskRequest, split_by_subject
from .fitting import VolumeFitting
from .planes import PlaneSource
from .template import AnnotatedVolume, aligned, mean_anatomy, read_volumes

SIDE_PX = 129  # of a plane, 32 n + 1
_ROOM = 1.2  # a coarse plane over the extent of the landmarks

Progress = Callable[[float, str], None]


def train_volumes(
    request: TaskRequest,
    folder: Path,
    recipe: Recipe,
    *,
    model_id: str,
    rater: str | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Fit the lite network to planes of one dataset's volumes and write `folder`/model.

    The checkpoint, the log and the recipe stand in `folder`; calling again with the same folder continues. Held-out
    volumes (`recipe.holdout`, none where that is 0) give the running loss and calibrate the confidence.
    An epoch is `recipe.cases_per_epoch` planes. Raises DatasetError before the first step where the data do not fit.
    """
    dataset, scheme = read_dataset(request.folder), load_scheme(request.scheme_id)
    missing = [name for name in scheme.names if name not in dataset.landmark_names]
    if dataset.dimension != 3 or missing:
        what = "holds pictures, not volumes" if dataset.dimension != 3 else f"has no landmark '{missing[0]}'"
        raise DatasetError(f"{dataset.folder}: {what} (scheme {scheme.id}).")
    rater = dataset.reference_rater(rater)
    recipe = replace(recipe, augmentation=recipe.augmentation_of(scheme.id))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(recipe.as_dict(), indent=1), encoding="utf-8")
    kept, held_out = split_by_subject(dataset.split("train"), recipe.holdout, recipe.seed)
    volumes, shape = aligned(read_volumes(kept, rater, scheme.names, progress))
    geometry = plane_geometry(shape.mean)
    knowledge = VolumeKnowledge(geometry, mean_anatomy(volumes, shape), shape)
    held = read_volumes(held_out, rater, scheme.names) if held_out else []
    fitting = VolumeFitting(
        _network(len(scheme), recipe), PlaneSource(volumes, geometry), recipe, folder,
        validation=PlaneSource(_posed(held, shape.mean), geometry) if held else None,
    )  # fmt: skip
    keep_freed_memory()
    trained = fitting.run(progress=progress, should_stop=should_stop)
    task = Task(
        scheme.id, scheme.names, tuple(kept), rater, slice(0, len(scheme)), (geometry.size_px,) * 2, padding=1.0
    )
    model = write_model_folder(folder / "model", trained, [task], recipe, model_id=model_id)
    knowledge.save(model)
    if held:
        noise = _held_out_ratio(model, scheme, held, of_peaks=True)
        if noise is not None:  # a network that shows nothing yet is neither weighed nor believed
            knowledge = replace(knowledge, noise=noise)
            knowledge.save(model)
            replace(knowledge, spread=_held_out_ratio(model, scheme, held, of_peaks=False)).save(model)
    return model


def plane_geometry(mean: np.ndarray) -> PlaneGeometry:
    """Coarse planes that show the whole anatomy, (K, 3) mm, in any of its three directions, and fine ones of half."""
    coarse = float(np.ptp(mean, axis=0).max()) * _ROOM / (SIDE_PX - 1)
    return PlaneGeometry(coarse, coarse / 2.0, SIDE_PX)


def _held_out_ratio(model: Path, scheme: Scheme, volumes: Sequence[AnnotatedVolume], *, of_peaks: bool) -> float | None:
    """How much larger the errors in held-out volumes are than the covariances say (`fitted_spread`).

    of_peaks: of what the planes alone say, else of the points that come out. None where nothing was found.
    """
    detector = VolumeDetector(scheme, load_model(f"{model}/"), device="cpu")
    errors, covariances = [], []
    for volume in volumes:
        found, _ = detector.found_points(detector.reader(volume.image), volume.image)
        for point, truth in zip(found, volume.points_ras, strict=True):
            said = point.peak if of_peaks and point is not None else point
            if said is not None and np.isfinite(truth).all():
                errors.append(np.linalg.norm(said.point_ras - truth))
                covariances.append(said.covariance)
    return fitted_spread(np.array(errors), np.array(covariances)) if errors else None


def _network(count: int, recipe: Recipe) -> LiteNetwork:
    torch.manual_seed(recipe.seed)
    network = LiteNetwork(count, sigma=recipe.sigma, activation="softmax-or-absent")
    load_imagenet_trunk(network)
    return network


def _posed(volumes: Sequence[AnnotatedVolume], mean: np.ndarray) -> list[AnnotatedVolume]:
    """Held-out volumes in the canonical frame of the others, by their own landmarks."""
    posed = []
    for volume in volumes:
        known = np.isfinite(volume.points_ras).all(axis=1)
        posed.append(replace(volume, canonical_to_ras=similarity(mean[known], volume.points_ras[known])))
    return posed


def volume_request(requests: Sequence[TaskRequest]) -> TaskRequest | None:
    """The one request that is for a dataset of volumes; None where all are for pictures.

    Raises DatasetError where volumes are asked for together with something else.
    """
    of_volumes = [request for request in requests if read_dataset(request.folder).dimension == 3]
    if of_volumes and len(requests) > 1:
        raise DatasetError(f"{of_volumes[0].folder} holds volumes; a model of volumes learns from one dataset alone.")
    return of_volumes[0] if of_volumes else None
