"""What only the images tell: files that are broken, other sizes and spacings than stated, the same image twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from ..errors import ImageError
from ..image import Image, read_image
from .cases import Case, LandmarkDataset
from .finding import Finding, error, warning
from .split_checks import DECLARED_REPEAT

SPACING_TOLERANCE = 0.01  # relative; headers and tables round differently
_GRID = 48  # an image is compared with others at this many pixels a side
# Correlation of two images' fine structure from which on they show the same exposure. On eight public datasets pairs of
# different people stay below 0.84 and those of one person at another moment below 0.90; the 23 known repeats among 300
# radiographs, stored anew and in part with another contrast, lie above 0.96.
_SAME_PICTURE = 0.95
_SAME_PIXELS, _NEARLY_SAME = "the same pixels", "nearly the same picture"
_FLAT = 2.0  # standard deviation of an 8-bit picture below which nothing can be seen in it


def size_fault(case: Case, size: tuple[int, ...]) -> Finding | None:
    """A fault where the image has another size than the dataset says; size: (columns, rows[, slices])."""
    if size == case.size:
        return None
    texts = [" x ".join(map(str, sides)) for sides in (size, case.size)]
    what = f"case '{case.id}': the image is {texts[0]} px, the dataset says {texts[1]} px"
    advice = "landmarks must be in pixels of the stored image"
    if size[:2] == case.size[1::-1] and size[2:] == case.size[2:]:
        advice = "width and height are exchanged"
    return error("size", what, advice, case=case.id, value=texts[0])


def spacing_fault(case: Case, image: Image) -> Finding | None:
    """A fault where the file's own spacing contradicts the one that the dataset states."""
    if case.spacing_mm is None or image.calibration.spacing_mm is None:
        return None
    own = np.linalg.norm(image.ijk_to_ras[:3, : len(case.spacing_mm)], axis=0)
    if np.allclose(own, case.spacing_mm, rtol=SPACING_TOLERANCE):
        return None
    texts = [" x ".join(f"{value:.6g}" for value in values) for values in (own, case.spacing_mm)]
    what = f"case '{case.id}': two spacings: its file says {texts[0]} mm, the dataset {texts[1]} mm"
    return error("spacing", what, "keep the one that was measured", case=case.id, value=texts[0])


def check_images(dataset: LandmarkDataset, progress: Callable[[float, str], None] | None = None) -> list[Finding]:
    """Open every image and report what is wrong with it, alone and beside the others."""
    found: list[Finding] = []
    hashes: dict[str, list[Case]] = {}
    prints: list[tuple[Case, np.ndarray]] = []
    for number, case in enumerate(dataset):
        if progress:
            progress(number / len(dataset), case.id)
        if not case.image_path.is_file():
            continue  # found when the tables were read
        try:
            image = read_image(case.image_path)
        except ImageError as failure:
            found.append(error("broken-image", f"case '{case.id}': {str(failure).rstrip('.')}", case=case.id))
            continue
        found += [
            fault for fault in (size_fault(case, image.size[: dataset.dimension]), spacing_fault(case, image)) if fault
        ]
        picture = image.display_rgb(0, image.size[2] // 2)
        if picture.std() < _FLAT:
            found.append(warning("flat-image", f"case '{case.id}': nothing can be seen in the image", case=case.id))
            continue
        hashes.setdefault(hashlib.sha256(np.ascontiguousarray(image.pixels)).hexdigest(), []).append(case)
        prints.append((case, _fine_structure(picture.mean(axis=2))))
    same = [(cases[0], other, _SAME_PIXELS) for cases in hashes.values() for other in cases[1:]]
    known = {(one.id, other.id) for one, other, _ in same}
    same += [pair for pair in _alike(prints) if (pair[0].id, pair[1].id) not in known]
    return found + [finding for pair in same if (finding := _twice(*pair)) is not None]


def _twice(one: Case, other: Case, how: str) -> Finding | None:
    """What to say of two cases with one picture; nothing where the dataset says so itself.

    Nor for images of one person in one split that are only alike: moments of one examination.
    """
    is_one_place = one.split == other.split and one.subject == other.subject
    if is_one_place and how != _SAME_PIXELS:
        return None
    if other.attributes.get(DECLARED_REPEAT) or one.attributes.get(DECLARED_REPEAT):
        return None
    what = f"cases '{one.id}' and '{other.id}' have {how}"
    if one.split != other.split:
        advice = "take one out, or results are too good"
        what += f", and are in the splits '{one.split}' and '{other.split}'"
        note = error if how == _SAME_PIXELS else warning
        return note("leakage", what, advice, case=other.id, value=one.id)
    return warning("duplicate-image", what, "one of them is enough", case=other.id, value=one.id)


def _fine_structure(grey: np.ndarray) -> np.ndarray:
    """(_GRID²,) what distinguishes a picture from others of its kind: its small version without the coarse layout."""
    rows, columns = (np.linspace(0, side, _GRID + 1).astype(int) for side in grey.shape)
    sums = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=0), columns[:-1], axis=1)
    small = sums / np.outer(np.maximum(np.diff(rows), 1), np.maximum(np.diff(columns), 1))
    padded = np.pad(small, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    fine = small - windows.mean(axis=(2, 3))
    fine -= fine.mean()
    return (fine / (np.linalg.norm(fine) or 1.0)).ravel()


def _alike(prints: list[tuple[Case, np.ndarray]]) -> list[tuple[Case, Case, str]]:
    """Pairs of pictures with the same fine structure: copies that were stored anew or changed in contrast."""
    if len(prints) < 2:
        return []
    table = np.array([structure for _, structure in prints], np.float32)
    correlation = np.triu(table @ table.T, 1)
    pairs = np.argwhere(correlation > _SAME_PICTURE)
    return [(prints[one][0], prints[other][0], _NEARLY_SAME) for one, other in pairs]
