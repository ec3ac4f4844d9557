"""Weighted penalised least squares: a course through noisy points in time that neither lags nor flattens its peaks."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

ORDER = 3  # of the differences that are penalised: a course of constant acceleration costs nothing
FEWEST_POINTS = ORDER + 1


def smoothed(values: np.ndarray, weights: np.ndarray, times: np.ndarray, cutoff_of_rate: float) -> np.ndarray:
    """The course x that minimises sum w (y - x)² + lambda sum (D x)², D the third differences (Whittaker, 1922).

    values: (F, C); those of weight 0 are not looked at. weights: (F,), at least FEWEST_POINTS of them above 0.
    times: (F,), rising, in any unit. cutoff_of_rate: the frequency that is halved, over the frame rate, 0 to 0.5.

    On even times and with weights of 1 the course is y filtered, forward and backward in one, by
    H(f) = 1 / (1 + (s(f) / s(f_c))⁶) with s(f) = 2 sin(pi f / rate), a Butterworth response of order 3 without phase
    (Gomez, Journal of Business & Economic Statistics 19, 2001): nothing lags, and a heart's first harmonics pass whole.
    Hence lambda = (2 sin(pi f_c / rate))⁻⁶. It is also what a Kalman smoother (Rauch, Tung and Striebel, 1965) of
    constant acceleration disturbed by white noise gives (Wecker and Ansley, Journal of the American Statistical
    Association 78, 1983), with variances of measurement in the place of 1 / w.
    On uneven times D is made of divided differences, scaled so that even times give plain ones.
    """
    penalty = (2 * np.sin(np.pi * cutoff_of_rate)) ** (-2 * ORDER)
    band = _penalty_band(times) * penalty
    band[0] += weights
    used = np.where((weights > 0)[:, None], values, 0.0)
    return solveh_banded(band, weights[:, None] * used, lower=True)


def _penalty_band(times: np.ndarray) -> np.ndarray:
    """(ORDER + 1, F): the lower band of D'D."""
    rows = _third_differences(times)  # (F - 3, 4)
    count = len(times)
    band = np.zeros((ORDER + 1, count))
    for offset in range(ORDER + 1):
        for column in range(ORDER + 1 - offset):
            products = rows[:, column] * rows[:, column + offset]
            band[offset, column : column + len(products)] += products
    return band


def _third_differences(times: np.ndarray) -> np.ndarray:
    """(F - 3, 4): the factors of each four successive values; (-1, 3, -3, 1) where times are even."""
    step = (times[-1] - times[0]) / (len(times) - 1)
    nodes = np.lib.stride_tricks.sliding_window_view(times / step, ORDER + 1)  # (F - 3, 4)
    gaps = nodes[:, :, None] - nodes[:, None, :]
    gaps[:, range(ORDER + 1), range(ORDER + 1)] = 1.0
    divided = 1.0 / gaps.prod(axis=2)  # of Newton's divided difference
    span = (nodes[:, -1] - nodes[:, 0]) / ORDER
    return 6.0 * divided * np.sqrt(span)[:, None]
