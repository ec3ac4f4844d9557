"""What a teaching learns from: annotated images with the points that somebody set in them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset.building import CHECKED
from ..dataset.finding import refusal
from ..dataset.folder import examine_folder
from ..dataset.from_markups import read_markups
from ..dataset.reading import with_names_of
from ..errors import DatasetError
from ..export.landmarks_json import LANDMARKS_SUFFIX, read_json_object, read_landmarks_json
from ..export.mrk_json import MARKUPS_SUFFIX
from ..image import Image, read_image
from ..landmark import Landmark, Status
from ..scheme import Scheme
from .request import Template
from .unannotated import TRAIN, train_images

MOST_TEMPLATES = 25
_CSV_SUFFIX = ".csv"
_CSV_PIXELS = (("i_px", "j_px"), ("x", "y"))  # as `detect` writes them, and as a dataset folder has them
_PREDICTED = frozenset({Status.PREDICTED, Status.DOUBTFUL})


@dataclass(frozen=True)
class ReadPoints:
    """The points of one file in pixels of its image. picture_xy: (K, 2) in the scheme's order, NaN where there is none.

    strangers: names that the scheme does not have. unchecked: landmarks that a model predicted and nobody has accepted
    or edited, which are left out unless they were asked for.
    """

    picture_xy: np.ndarray
    strangers: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def template_from_files(
    image_path: Path, points_path: Path, scheme: Scheme, with_predicted: bool = False
) -> tuple[Template, ReadPoints]:
    """An annotated image from its file and the file of its points: .mrk.json, .landmarks.json, or .csv.

    with_predicted: take points that a model found and nobody checked, too. Raises ImageError for the image, and
    DatasetError for points that are none of the scheme's, unchecked, or outside the image.
    """
    image = require_picture(read_image(image_path), image_path)
    points = read_points(points_path, image, scheme, with_predicted)
    return Template(image_path, points.picture_xy), points


def require_picture(image: Image, path: object) -> Image:
    """The image, where it is one picture. Raises DatasetError for a volume or a clip."""
    if image.size[2] > 1 or image.frame_count > 1:
        what = f"a volume of {image.size[2]} slices" if image.size[2] > 1 else f"a clip of {image.frame_count} frames"
        raise DatasetError(f"{path}: is {what}; teaching learns from pictures. Save the slice or frame as an image.")
    return image


def read_points(path: Path, image: Image, scheme: Scheme, with_predicted: bool = False) -> ReadPoints:
    """The points in a file, which lie in `image`. Raises DatasetError, MedLandmarkError."""
    landmarks = _landmarks_in(path, image)
    return points_of(landmarks, image, scheme, str(path), with_predicted)


def points_of(
    landmarks: Iterable[Landmark], image: Image, scheme: Scheme, where: str, with_predicted: bool = False
) -> ReadPoints:
    """Landmarks with ijk as the points of a template. Raises DatasetError where none of them can be learned from."""
    known = {item.name: item for item in landmarks}
    strangers = tuple(name for name in known if name not in scheme.names)
    own = {name: item for name, item in known.items() if name in scheme.names}
    if not own:
        raise DatasetError(
            f"{where}: none of its points ({_listed(known)}) is a landmark of scheme {scheme.id} "
            f"({_listed(scheme.names)}). Name the points as the scheme does, or teach a scheme of your own."
        )
    wanted = CHECKED | _PREDICTED if with_predicted else CHECKED
    used = {name: item for name, item in own.items() if item.status in wanted and item.ijk is not None}
    unchecked = tuple(name for name, item in own.items() if item.status in _PREDICTED and not with_predicted)
    if not used:
        raise DatasetError(
            f"{where}: nobody has placed, accepted or edited any of its {len(own)} points. Check them first, or ask "
            "for predicted points to be taken as they are."
            if unchecked
            else f"{where}: all its points are missing; annotate at least one landmark."
        )
    picture_xy = np.full((len(scheme), 2), np.nan)
    for name, item in used.items():
        picture_xy[scheme.index(name)] = _inside(item, image, where)
    return ReadPoints(picture_xy, strangers, unchecked)


def names_in(path: Path) -> tuple[str, ...]:
    """The landmark names in a file of points, in its order, for a scheme of the user's own. Raises DatasetError."""
    lowered = path.name.lower()
    if lowered.endswith(MARKUPS_SUFFIX):
        names = _labels(path)
    elif lowered.endswith(_CSV_SUFFIX):
        names = [row["landmark"] for row in _csv_rows(path)]
    else:
        _scheme_id, sets = read_landmarks_json(path)
        names = list(sets[0].names)
    names = list(dict.fromkeys(name for name in names if name))
    if not names:
        raise DatasetError(f"{path}: no point in it has a name; give each point a label.")
    return tuple(names)


def choose_cases(folder: Path, cases: Sequence[str] | None, count: int | None, seed: int) -> tuple[str, ...]:
    """Which cases of split "train" are the annotated ones: those named, else `count` drawn with `seed`.

    Raises DatasetError for a case that is not there or not in that split, and for too many.
    """
    known = train_images(folder)
    if cases:
        strangers = [case for case in cases if case not in known]
        if strangers:
            raise DatasetError(f"{folder}: split '{TRAIN}' has no case {_listed(strangers)}; it has {_listed(known)}.")
        chosen = tuple(dict.fromkeys(cases))
    else:
        count = 1 if count is None else count
        if not 1 <= count <= len(known):
            raise DatasetError(f"{folder}: {count} cases were asked for, split '{TRAIN}' has {len(known)}.")
        drawn = np.random.default_rng(seed).permutation(len(known))[:count]
        names = list(known)
        chosen = tuple(names[number] for number in sorted(drawn))
    if len(chosen) > MOST_TEMPLATES:
        raise DatasetError(
            f"{len(chosen)} annotated images are more than the {MOST_TEMPLATES} that teaching is for; train on them: "
            "medlandmark train"
        )
    return chosen


def templates_from_dataset(
    folder: Path, cases: Sequence[str], scheme: Scheme, rater: str | None = None
) -> tuple[Template, ...]:
    """Annotated images out of a dataset folder: these cases, and no other's readings. Raises DatasetError."""
    dataset, findings = examine_folder(folder, frozenset(cases))
    if findings:
        raise refusal(folder, findings)
    dataset = with_names_of(dataset, scheme)
    who = dataset.reference_rater(rater)
    templates = []
    for case in dataset:
        picture_xy = np.full((len(scheme), 2), np.nan)
        for name, point in case.reference(who).items():
            if name in scheme.names:
                picture_xy[scheme.index(name)] = point[:2]
        if not np.isfinite(picture_xy).any():
            raise DatasetError(f"{folder}: case '{case.id}' has no landmark of scheme {scheme.id} read by '{who}'.")
        templates.append(Template(case.image_path, picture_xy))
    return tuple(templates)


def _landmarks_in(path: Path, image: Image) -> list[Landmark]:
    lowered = path.name.lower()
    if lowered.endswith(MARKUPS_SUFFIX):
        return list(read_markups(path, image))
    if lowered.endswith(LANDMARKS_SUFFIX):
        return list(read_landmarks_json(path)[1][0])
    if lowered.endswith(_CSV_SUFFIX):
        return [_from_row(path, row) for row in _csv_rows(path)]
    raise DatasetError(
        f"{path}: is no file of points that is known: {MARKUPS_SUFFIX} (3D Slicer), {LANDMARKS_SUFFIX} or "
        f"{_CSV_SUFFIX} (MedLandmark)."
    )


def _labels(path: Path) -> list[str]:
    data = read_json_object(path)
    try:
        markup = next(markup for markup in data["markups"] if markup.get("type") == "Fiducial")
        return [str(point.get("label", "")).strip() for point in markup["controlPoints"]]
    except StopIteration:
        raise DatasetError(f"{path}: holds no list of points (type Fiducial).") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path}: is not a markups file of 3D Slicer ({error!r}).") from error


def _csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of the first frame. Raises DatasetError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or ()
            if "landmark" not in columns or not any(set(pair) <= set(columns) for pair in _CSV_PIXELS):
                raise DatasetError(f"{path}: needs the columns landmark, i_px, j_px (or landmark, x, y), in pixels.")
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: is not a CSV text file ({error}).") from error
    return [row for row in rows if row.get("frame", "") == rows[0].get("frame", "")]


def _from_row(path: Path, row: dict[str, str]) -> Landmark:
    pair = next(pair for pair in _CSV_PIXELS if pair[0] in row)
    texts = [row.get(column, "") for column in pair]
    try:
        status = Status(row.get("status") or Status.EDITED.value)
        ijk = (*(float(text) for text in texts), 0.0) if all(texts) else None
        if ijk is None and status.is_usable:
            status = Status.MISSING
        return Landmark(row["landmark"], ijk=ijk, status=status)
    except ValueError as error:
        raise DatasetError(f"{path}: landmark '{row['landmark']}' has a wrong value ({error}).") from error


def _inside(landmark: Landmark, image: Image, where: str) -> tuple[float, float]:
    columns, rows, _slices = image.size
    x, y = landmark.ijk[:2]
    if not (-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5):  # False for NaN as well
        raise DatasetError(
            f"{where}: '{landmark.name}' lies at pixel ({x:.1f}, {y:.1f}), outside the image of {columns} x {rows} px; "
            "was it set in this image?"
        )
    return x, y


def _listed(names: Iterable[str], most: int = 6) -> str:
    names = [f"'{name}'" for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "none"
