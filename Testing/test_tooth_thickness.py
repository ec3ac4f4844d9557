"""Bone thickness along tooth planes, in RAS mm: a made tooth of known walls, cut obliquely, read at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from volumes import an_image, grid_ras, rotation

from MedLandmarkLib.image import Image
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure import Measurement, measure
from MedLandmarkLib.plane import SampledPicture, oblique_plane, plane_values
from MedLandmarkLib.plane.tooth import TOOTH_PIXEL_MM, tooth_plane
from MedLandmarkLib.scheme import load_scheme

VOXEL_MM = 0.3
# of the made tooth, mm: half the root's width, and the bone on the side of the lip and of the tongue, by height
ROOT, LEVELS_MM = 3.0, (-4.0, 3.0)  # below the middle of the root (second line) and above (third line)
LABIAL, LINGUAL = {-4.0: 1.2, 3.0: 1.8}, {-4.0: 2.4, 3.0: 3.3}
BONE, DENTIN = 1000.0, 2400.0


def a_tooth(axes: np.ndarray, ijk_to_ras: np.ndarray | None = None) -> Image:
    """A slab of root between two walls of bone, at the origin. axes: (3, 3), to the lip, along the arch, to the crown.

    The walls are thicker above the middle of the root than below it.
    """
    shape = (80, 84, 88)
    if ijk_to_ras is None:
        ijk_to_ras = np.diag([VOXEL_MM] * 3 + [1.0])
        ijk_to_ras[:3, 3] = -VOXEL_MM * (np.array(shape[::-1]) - 1) / 2
    own = grid_ras(shape, ijk_to_ras) @ axes
    to_lip, up = own[..., 0], own[..., 2]
    labial = np.where(up < 0, LABIAL[-4.0], LABIAL[3.0])
    lingual = np.where(up < 0, LINGUAL[-4.0], LINGUAL[3.0])

    def within(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """1 inside, 0 outside, with edges as soft as a voxel."""
        return np.clip(np.minimum(to_lip - low, high - to_lip) / VOXEL_MM + 0.5, 0.0, 1.0)

    values = BONE * within(-ROOT - lingual, ROOT + labial)
    values += (DENTIN - BONE) * within(np.full_like(to_lip, -ROOT), np.full_like(to_lip, ROOT))
    return an_image(np.rint(values).astype(np.int16), ijk_to_ras)


def edges_on_a_row(values: np.ndarray, level: float) -> tuple[float, float]:
    """Where a row rises above a level and falls below it again, between pixels."""
    above = np.flatnonzero(values > level)
    first, last = above[0], above[-1]
    rise = first - 1 + (level - values[first - 1]) / (values[first] - values[first - 1])
    fall = last + (values[last] - level) / (values[last] - values[last + 1])
    return float(rise), float(fall)


def points_of(image: Image, cut: SampledPicture, values: np.ndarray, middle_y: float) -> LandmarkSet:
    """The sixteen points as a perfect model would place them in the picture, brought into the volume."""
    scheme = load_scheme("tooth-16")
    xy = dict.fromkeys(scheme.names, (values.shape[1] / 2, middle_y))
    for height, numbers in zip(LEVELS_MM, ((9, 10, 11, 12), (13, 14, 15, 16)), strict=True):
        y = middle_y - height / TOOTH_PIXEL_MM  # up in the picture is up in the patient
        row = values[round(y)]
        outer, inner = edges_on_a_row(row, BONE / 2), edges_on_a_row(row, (BONE + DENTIN) / 2)
        for number, x in zip(numbers, (outer[0], inner[0], inner[1], outer[1]), strict=True):
            xy[f"point{number}"] = (x, round(y))
    ijk = cut.ijk_from_plane(np.array([xy[name] for name in scheme.names]))
    ras = image.ras_from_ijk(ijk)
    landmarks = (
        Landmark(name, ijk=tuple(ijk[n].tolist()), ras=tuple(ras[n].tolist()), status=Status.PREDICTED)
        for n, name in enumerate(scheme.names)
    )
    return LandmarkSet(scheme.id, tuple(landmarks))


def measured(image: Image, axes: np.ndarray) -> dict[str, Measurement]:
    middle, crown = np.zeros(3), axes[:, 2]
    plane = tooth_plane(middle + 6 * crown, middle - 6 * crown, axes[:, 0])
    values, _, _ = plane_values(image, plane)
    cut = oblique_plane(image, plane)
    centre_y = (plane.size_wh[1] - 1) / 2
    landmarks = points_of(image, cut, values[..., 0].astype(float), centre_y)
    return {one.name: one for one in measure(landmarks, load_scheme("tooth-16"))}


@pytest.mark.parametrize(
    "angles", [(0.0, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, 0.25, -0.2), (-0.4, 0.3, 0.2)], ids=lambda angles: str(angles)
)
def test_bone_on_either_side_of_a_root_is_measured_in_mm_whatever_way_the_tooth_leans(angles) -> None:
    axes = rotation(*angles) @ np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # the lip in front
    found = measured(a_tooth(axes), axes)
    for line, height in (("9 10 11 12", -4.0), ("13 14 15 16", 3.0)):
        first, second, third, fourth = (f"point{number}" for number in line.split())
        expected = {
            f"Bone {first}-{second}": LABIAL[height], f"Root {second}-{third}": 2 * ROOT,
            f"Bone {third}-{fourth}": LINGUAL[height],
        }  # fmt: skip
        for name, thickness in expected.items():
            assert found[name].unit == "mm"
            assert found[name].value == pytest.approx(thickness, abs=VOXEL_MM / 3), name
    assert found["Bone second line"].value == pytest.approx(LABIAL[-4.0] + LINGUAL[-4.0], abs=VOXEL_MM / 2)
    assert found["Bone third line"].value == pytest.approx(LABIAL[3.0] + LINGUAL[3.0], abs=VOXEL_MM / 2)


def test_thickness_is_the_same_in_a_volume_that_is_stored_turned_and_with_flat_voxels() -> None:
    axes = rotation(0.3, 0.2, 0.0) @ np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    stored = np.eye(4)
    stored[:3, :3] = rotation(0.5, -0.4, 0.9) * (0.25, -0.25, 0.4)  # left-handed
    stored[:3, 3] = -stored[:3, :3] @ ((np.array((88, 84, 80)) - 1) / 2)
    found = measured(a_tooth(axes, stored), axes)
    assert found["Bone point9-point10"].value == pytest.approx(LABIAL[-4.0], abs=VOXEL_MM / 2)
    assert found["Bone point15-point16"].value == pytest.approx(LINGUAL[3.0], abs=VOXEL_MM / 2)


def test_a_thickness_with_a_missing_point_is_missing_and_says_which() -> None:
    axes = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    image = a_tooth(axes)
    plane = tooth_plane((0, 0, 6), (0, 0, -6), (0, 1, 0))
    values, _, _ = plane_values(image, plane)
    landmarks = points_of(image, oblique_plane(image, plane), values[..., 0].astype(float), 95.5)
    scheme = load_scheme("tooth-16")
    landmarks = landmarks.replaced(Landmark("point9", status=Status.MISSING, reason="no peak"))
    found = {one.name: one for one in measure(landmarks, scheme)}
    assert found["Bone point9-point10"].status is Status.MISSING
    assert "point9 is missing" in found["Bone point9-point10"].reason
    assert found["Bone second line"].status is Status.MISSING
    assert found["Bone point11-point12"].status is Status.PREDICTED
