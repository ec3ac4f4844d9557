"""What single points tell: places outside the image, several landmarks on one place, millimetres for pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from .cases import LandmarkDataset, Point, listed
from .finding import Finding, error, warning
from .readings import Reading, by_case, labelled, own_readings

_SAME_PLACE_PX = 1e-3
# A pair of landmarks that share a place in more than this share of the readings do so on purpose.
_USUAL_SHARE = 0.1
_WIDEST_MM, _NARROWEST_MM = 2500.0, 2.0  # of a medical image: a whole body, a zebrafish
# Spacings above this leave millimetres too near to pixels to tell them apart.
_LARGEST_TELLING_SPACING = 0.6


def check_points(dataset: LandmarkDataset) -> list[Finding]:
    """Findings on the points of every reading, each by itself; images are not opened."""
    read, _ = own_readings(dataset)
    found = []
    for reading in read:
        found += _outside(reading)
    return [
        *found,
        *_on_one_place(read),
        *_millimetres_for_pixels(dataset, read),
        *_spacings(dataset),
        *_unread(dataset),
    ]


def _outside(reading: Reading) -> list[Finding]:
    """One finding for the points of a reading outside its image, which ends half a pixel beyond its centres."""
    case, points = reading.case, reading.case.points[reading.rater]
    outside = {name: point for name, point in points.items() if not _is_inside(point, case.size)}
    if not outside:
        return []
    name, point = next(iter(outside.items()))
    place = ", ".join(f"{value:g}" for value in point)
    more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
    size = " x ".join(map(str, case.size))
    what = f"{labelled([reading])}: '{name}' at ({place}){more} lies outside the image of {size} px"
    is_exchanged = len(case.size) == 2 and all(_is_inside(point[::-1], case.size) for point in points.values())
    advice = "x and y are probably exchanged" if is_exchanged else "correct it, or take its row out if it is not there"
    return [error("outside", what, advice, case=case.id, landmark=", ".join(outside), value=f"({place})")]


def _is_inside(point: Point, size: tuple[int, ...]) -> bool:
    return all(-0.5 <= value <= length - 0.5 for value, length in zip(point, size, strict=True))


def _on_one_place(read: list[Reading]) -> list[Finding]:
    """Landmarks of one reading at one and the same place."""
    groups = [(reading, group) for reading in read for group in _coinciding(reading.case.points[reading.rater])]
    usual = {
        group for group, n in Counter(group for _, group in groups).items() if n > max(1, _USUAL_SHARE * len(read))
    }
    found = []
    for group in usual:
        count = sum(names == group for _, names in groups)
        what = f"{listed(group)} share one place in {count} of {len(read)} readings"
        found.append(warning("duplicate-point", what, "is that meant?", landmark=", ".join(group), value=count))
    for reading, group in groups:
        if group in usual:
            continue
        point = reading.case.points[reading.rater][group[0]]
        place = ", ".join(f"{value:g}" for value in point)
        what = f"{labelled([reading])}: {listed(group)} lie on one place ({place})"
        is_unset = not any(point)
        advice = "points that were never set must have no row (COCO: visibility 0)" if is_unset else "look at them"
        # Neighbours may be clicked on one pixel; three on one place, or two in the corner, were not clicked.
        note = error if is_unset or len(group) > 2 else warning
        case = reading.case.id
        found.append(note("duplicate-point", what, advice, case=case, landmark=", ".join(group), value=f"({place})"))
    return found


def _coinciding(points: Mapping[str, Point]) -> list[tuple[str, ...]]:
    places: dict[tuple[int, ...], list[str]] = {}
    for name, point in points.items():
        places.setdefault(tuple(round(value / _SAME_PLACE_PX) for value in point), []).append(name)
    return [tuple(names) for names in places.values() if len(names) > 1]


def _millimetres_for_pixels(dataset: LandmarkDataset, read: list[Reading]) -> list[Finding]:
    """Whether all points of a whole dataset lie in that corner of the images into which millimetres would fall."""
    shares, corners = [], []
    for reading in read:
        if reading.case.spacing_mm is not None and reading.case.points[reading.rater]:
            points = np.array(list(reading.case.points[reading.rater].values()))
            shares.append((points.max(axis=0) + 0.5) / reading.case.size)
            corners.append(reading.case.spacing_mm)
    if len(shares) < 3 or np.max(corners) > _LARGEST_TELLING_SPACING or not (np.array(shares) <= corners).all():
        return []
    what = f"all landmarks of all {len(shares)} readings lie where millimetres would in the place of pixels"
    return [error("units", what, "x, y (i, j, k) must be pixels of the stored image", value="mm")]


def _spacings(dataset: LandmarkDataset) -> list[Finding]:
    """Images with and without a spacing in one dataset, spacings that no image has, pixels that are not square."""
    without = [case.id for case in dataset if case.spacing_mm is None]
    found = []
    if without and len(without) < len(dataset):
        what = f"{len(without)} of {len(dataset)} cases have no spacing, such as '{without[0]}'"
        advice = "errors in mm then leave them out; give the spacing, or leave it out for all"
        found.append(warning("spacing", what, advice, value=len(without)))
    for case in dataset:
        if case.spacing_mm is None:
            continue
        extent_mm = np.array(case.spacing_mm) * case.size
        spacing = " x ".join(f"{value:g}" for value in case.spacing_mm)
        if extent_mm.max() > _WIDEST_MM or extent_mm.max() < _NARROWEST_MM:
            what = f"case '{case.id}': with a spacing of {spacing} mm the image would be {extent_mm.max():.4g} mm large"
            found.append(warning("spacing", what, "check its unit (mm, not cm or µm)", case=case.id, value=spacing))
        elif len(case.spacing_mm) == 2 and max(case.spacing_mm) > 1.5 * min(case.spacing_mm):
            what = f"case '{case.id}': its pixels of {spacing} mm are far from square"
            found.append(warning("spacing", what, "check the spacing", case=case.id, value=spacing))
    return found


def _unread(dataset: LandmarkDataset) -> list[Finding]:
    """Cases and landmarks that nobody read, and cases that lack a landmark that nearly all others have."""
    found = [
        error("no-landmarks", f"case '{case.id}': has no landmark at all", "take it out, or annotate it", case=case.id)
        for case in dataset
        if not any(case.points.values())
    ]
    read = {name for case in dataset for points in case.points.values() for name in points}
    for name in dataset.landmark_names:
        if name not in read:
            found.append(warning("no-landmarks", f"landmark '{name}' was read in no case", landmark=name))
    raters = dataset.raters
    for rater in raters if len(raters) > 1 else ():
        cases = [case for case in dataset if not case.points.get(rater)]
        if 0 < len(cases) <= 0.05 * len(dataset):
            for group in by_case(Reading(case, rater) for case in cases):
                what = f"case '{group[0].case.id}': rater '{rater}', who read nearly all cases, did not read it"
                found.append(warning("no-landmarks", what, case=group[0].case.id))
    return found
