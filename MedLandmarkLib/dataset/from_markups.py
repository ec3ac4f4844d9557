"""Landmarks of an image from the markups file that 3D Slicer or this library saved beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError, ImageError, MedLandmarkError
from ..export.landmarks_json import read_json_object
from ..export.mrk_json import MARKUPS_SUFFIX, PIXELS_NOTE
from ..image import Image, read_image
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import Scheme
from .building import AnnotatedImage

# The sentence of a description that tells the status, as the module and the command line write it.
_STATUS = re.compile(rf"(?:^|\. )({'|'.join(status.value for status in Status)})(?:: (.+))?\.$", re.DOTALL)
_POSITION_STATUS = {"missing": Status.MISSING, "undefined": Status.UNDEFINED, "preview": Status.UNDEFINED}
_NOT_IMAGES = (".json", ".csv", ".txt", ".md", ".html", ".mrml", ".mrb", ".fcsv")


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(image, markups) of a folder: STEM.mrk.json, and the image that begins with the same stem.

    Slicer's own name for a list, STEM_1.mrk.json or "STEM landmarks.mrk.json", is not guessed at. Raises DatasetError
    that lists markups without an image and with several.
    """
    markups = sorted(folder.glob(f"*{MARKUPS_SUFFIX}")) if folder.is_dir() else []
    if not markups:
        raise DatasetError(f"{folder}: holds no file named *{MARKUPS_SUFFIX}.")
    files = [
        path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.lower().endswith(_NOT_IMAGES)
    ]
    pairs, faults = [], []
    for path in markups:
        stem = path.name[: -len(MARKUPS_SUFFIX)]
        images = [file for file in files if file.name.partition(".")[0] == stem or file.stem == stem]
        if len(images) == 1:
            pairs.append((images[0], path))
        else:
            names = ", ".join(image.name for image in images)
            faults.append(f"{path.name}: {f'several images have its name ({names})' if images else 'has no image'}")
    if faults:
        advice = "Name an image and its markups alike, or name the pairs: --pair IMAGE=MARKUPS."
        raise DatasetError(f"{folder}: {len(faults)} markups have not one image. {advice}\n  " + "\n  ".join(faults))
    return pairs


def read_annotated(
    pairs: Sequence[tuple[Path, Path]],
    scheme: Scheme | None = None,
    *,
    spacing_mm: float | Sequence[float] | None = None,
    subject_of: Callable[[Path], str] | None = None,
    rater: str = "annotated",
) -> list[AnnotatedImage]:
    """The images and the points of their markups, as landmarks.

    spacing_mm: what the images were calibrated with by hand when the points were set, where their files do not say it.
    subject_of: whose image a file is. Without a scheme every labelled point is a landmark. Raises DatasetError that
    lists every pair that cannot be read.
    """
    annotated, faults = [], []
    for image_path, markups_path in pairs:
        try:
            image = read_image(image_path, spacing_mm=spacing_mm)
            landmarks = read_markups(markups_path, image, scheme)
        except (ImageError, DatasetError, MedLandmarkError) as failure:
            faults.append(str(failure))
            continue
        annotated.append(AnnotatedImage(image, landmarks, subject_of(image_path) if subject_of else "", rater=rater))
    if faults:
        raise DatasetError(f"{len(faults)} of {len(pairs)} images cannot be used:\n  " + "\n  ".join(faults))
    return annotated


def read_markups(path: Path, image: Image, scheme: Scheme | None = None) -> LandmarkSet:
    """The points of the first fiducial list in a file as landmarks in pixels of `image`.

    Points lie where Slicer shows the image: in patient space or, where it has no calibration, with pixels of 1 mm. A
    point without a status in its description was placed by hand and is EDITED. Raises MedLandmarkError.
    """
    data = read_json_object(path)
    try:
        markup = next(markup for markup in data["markups"] if markup.get("type") == "Fiducial")
        is_ras = str(markup.get("coordinateSystem", "LPS")).upper() in ("RAS", "0")
        landmarks: dict[str, Landmark] = {}
        for point in markup["controlPoints"]:
            label = str(point.get("label", "")).strip()
            if label and (scheme is None or label in scheme.names):
                if label in landmarks:
                    raise DatasetError(f"{path}: two points have the label '{label}'; rename or delete one.")
                landmarks[label] = _landmark(path, point, label, is_ras, image)
    except StopIteration:
        raise DatasetError(f"{path}: holds no list of points (type Fiducial).") from None
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise DatasetError(f"{path}: is not a markups file of 3D Slicer ({failure!r}).") from failure
    if not landmarks:
        known = f" of scheme {scheme.id} ({', '.join(scheme.names[:4])}, ...)" if scheme is not None else ""
        raise DatasetError(f"{path}: no point carries a label{known}.")
    names = scheme.names if scheme is not None else tuple(landmarks)
    return LandmarkSet(
        scheme.id if scheme is not None else "", tuple(landmarks[name] for name in names if name in landmarks)
    )


def _landmark(path: Path, point: dict[str, Any], label: str, is_ras: bool, image: Image) -> Landmark:
    description = str(point.get("description", "")).strip()
    is_in_pixels = description.endswith(PIXELS_NOTE)
    told = _STATUS.search(description.removesuffix(PIXELS_NOTE).rstrip())
    position_status = point.get("positionStatus", "defined")
    if position_status in _POSITION_STATUS:
        return Landmark(label, status=_POSITION_STATUS[position_status])
    position = np.array([float(value) for value in point["position"]])
    if position.shape != (3,) or not np.isfinite(position).all():
        raise DatasetError(f"{path}: point '{label}' lies at {point['position']}; it must be three numbers.")
    if told and not is_in_pixels and image.calibration.kind == "none":
        raise DatasetError(
            f"{path}: its points are in mm, but {image.path.name} says nothing of a pixel's size; give the spacing "
            "that it was calibrated with (--spacing)."
        )
    if is_in_pixels and image.calibration.kind != "none":
        raise DatasetError(
            f"{path}: its points are in pixels, but {image.path.name} was given a spacing; leave it out."
        )
    ras = position if is_ras else position * (-1.0, -1.0, 1.0)
    ijk = (np.linalg.inv(image.ijk_to_ras) @ [*ras, 1.0])[:3]
    status = Status(told[1]) if told else Status.EDITED
    return Landmark(label, ijk=tuple(map(float, ijk)), status=status if status.is_usable else Status.EDITED)
