"""Published formulas of the left ventricle: from lengths to volumes, mass and fractions. Lengths in mm."""

from __future__ import annotations

from .geometry import SMALLEST_LENGTH, DegenerateGeometry

_CM_PER_MM = 0.1
MYOCARDIUM_G_PER_ML = 1.04


def teichholz_volume_ml(diameter_mm: float) -> float:
    """The volume of the left ventricle from its inner diameter: 7 / (2.4 + D) D³, D in cm.

    Teichholz L. E. et al., American Journal of Cardiology 37(1), 7-11, 1976. Holds for ventricles of usual shape.
    """
    diameter_cm = diameter_mm * _CM_PER_MM
    return 7.0 / (2.4 + diameter_cm) * diameter_cm**3


def cube_mass_g(septum_mm: float, diameter_mm: float, posterior_wall_mm: float) -> float:
    """The mass of the left ventricle: 0.8 x 1.04 ((IVSd + LVIDd + LVPWd)³ - LVIDd³) + 0.6, lengths in cm.

    Devereux R. B. et al., American Journal of Cardiology 57(6), 450-458, 1986; recommended as the cube formula by Lang
    R. M. et al., Journal of the American Society of Echocardiography 28(1), 2015, section on left ventricular mass.
    """
    septum, diameter, wall = (length * _CM_PER_MM for length in (septum_mm, diameter_mm, posterior_wall_mm))
    return 0.8 * MYOCARDIUM_G_PER_ML * ((septum + diameter + wall) ** 3 - diameter**3) + 0.6


def relative_wall_thickness(posterior_wall: float, diameter: float) -> float:
    """2 x LVPWd / LVIDd (Lang et al., 2015, same section). Raises DegenerateGeometry where the diameter is 0."""
    return 2 * posterior_wall / _not_zero(diameter)


def relative_change_percent(at_first: float, later: float) -> float:
    """By which part of itself `at_first` has become less, in percent: fractional shortening, ejection fraction.

    Lang et al., 2015: (LVIDd - LVIDs) / LVIDd and (EDV - ESV) / EDV. Raises DegenerateGeometry where `at_first` is 0.
    """
    return 100 * (at_first - later) / _not_zero(at_first)


def _not_zero(value: float) -> float:
    if abs(value) < SMALLEST_LENGTH:
        raise DegenerateGeometry("nothing can be divided by a length of 0")
    return value
