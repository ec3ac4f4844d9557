"""A model from one annotated volume: nothing is trained, the volume itself is the model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...detection.atlas.template import PreparedTemplate
from ...detection.volume.check import require_volume
from ...errors import DatasetError
from ...export.files import written_whole
from ...export.mrk_json import read_mrk_json
from ...image import Image, read_image
from ...models.atlas import FAMILY, POINTS_NAME, TEMPLATE_NAME, write_points
from ...models.catalogue import Licence, ModelCard, SchemeChannels, VolumeFile, Weights
from ...models.folder import CARD_NAME, checked_id, file_sha256, write_json
from ...models.own_scheme import keep_scheme
from ...scheme import Scheme

_LICENCE = Licence(
    name="Not stated",
    spdx="NOASSERTION",
    url="https://spdx.org/licenses/",
    noncommercial=True,
    summary="The model holds the annotated volume itself: whoever may have the volume may have the model. Ask the "
    "person who taught it. A volume of a person is that person's data.",
)


def teach_volume(image: Image, points_ras: np.ndarray, scheme: Scheme, folder: Path, model_id: str) -> Path:
    """Write the model of one annotated volume into `folder`: card.json, template.nii.gz, points.mrk.json. The folder.

    points_ras: (K, 3) RAS mm in the scheme's order, NaN where a landmark is not annotated; it comes out missing. The
    volume is stored as it is shown, in 256 grey values. Raises ImageError for what is no volume of pictures, ModelError
    for an id that cannot be or points outside the volume, DatasetError for points of the wrong shape, SchemeError where
    the scheme cannot travel with the model.
    """
    checked_id(model_id)
    frame = require_volume(image)
    points_ras = np.asarray(points_ras, float)
    if points_ras.shape != (len(scheme), 3):
        raise DatasetError(
            f"The template's points are of shape {points_ras.shape}; scheme {scheme.id} has {len(scheme)} landmarks, "
            "each with three coordinates."
        )
    PreparedTemplate.of(image, points_ras)  # says what cannot be a template
    volume = _shown(image, frame)
    folder.mkdir(parents=True, exist_ok=True)
    template = folder / TEMPLATE_NAME
    with written_whole(template) as temporary:
        named = temporary.with_name(temporary.name + ".nii.gz")  # the writer goes by the ending
        sitk.WriteImage(volume, str(named), useCompression=True)
        os.replace(named, temporary)
    sha256 = file_sha256(template)
    known = np.isfinite(points_ras).all(axis=1)
    taught = {name: point for name, point, is_known in zip(scheme.names, points_ras, known, strict=True) if is_known}
    write_points(folder / POINTS_NAME, taught, {one.name: one.definition for one in scheme.landmarks}, sha256)
    keep_scheme(folder, scheme)
    points = folder / POINTS_NAME
    card = ModelCard(
        id=model_id,
        title=f"{model_id} ({len(taught)} landmarks, from one volume)",
        version="1",
        family=FAMILY,
        description=f"{len(taught)} of {len(scheme)} landmarks of {scheme.id}, carried over from one annotated volume.",
        architecture={},
        input=None,
        schemes={scheme.id: SchemeChannels(0, len(scheme))},
        flip_test=False,
        base=None,
        licence=_LICENCE,
        citation="",
        training={"data": ["1 annotated volume"], "recipe": "none: the volume is registered and matched"},
        weights=Weights(POINTS_NAME, file_sha256(points), points.stat().st_size),
        volume=VolumeFile(TEMPLATE_NAME, sha256, template.stat().st_size),
    )
    write_json(folder / CARD_NAME, card.to_json())
    return folder


def teach_from_volume(image_path: Path, points_path: Path, scheme: Scheme, folder: Path, model_id: str) -> Path:
    """`teach_volume` from files: a volume, and its points as 3D Slicer saved them (.mrk.json, matched by label).

    Raises MedLandmarkError as well where the points cannot be read or none has a label of the scheme.
    """
    landmarks = read_mrk_json(points_path, scheme)[0]
    placed = {landmark.name: landmark.ras for landmark in landmarks if landmark.ras is not None}
    points = np.array([placed.get(name, (np.nan,) * 3) for name in scheme.names], float)
    return teach_volume(read_image(image_path), points, scheme, folder, model_id)


def _shown(image: Image, frame: int) -> sitk.Image:
    """The volume as displayed, uint8, in patient space (LPS). Raises DatasetError for sheared axes."""
    grey = np.stack([image.display.to_uint8(one).mean(axis=-1) for one in image.pixels[frame]])
    volume = sitk.GetImageFromArray(np.rint(grey).astype(np.uint8))
    to_lps = np.diag((-1.0, -1.0, 1.0, 1.0)) @ image.ijk_to_ras
    spacing = np.linalg.norm(to_lps[:3, :3], axis=0)
    direction = to_lps[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
        raise DatasetError(
            "The slices of the template are sheared against each other (a tilted gantry): resample the volume to "
            "upright slices first."
        )
    volume.SetSpacing(spacing.tolist())
    volume.SetDirection(direction.ravel().tolist())
    volume.SetOrigin(to_lps[:3, 3].tolist())
    return volume
