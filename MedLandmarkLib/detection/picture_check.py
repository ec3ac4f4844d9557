"""Whether a picture is of the kind the model learned: by what the network sees in it, and by how the points lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .gaussian import LowRankGaussian
from .picture_peaks import PicturePeaks
from .shape_model import ShapeFit, ShapeModel


@dataclass(frozen=True)
class PictureLimits:
    """Beyond these a picture counts as another kind; None: not asked.

    features: Mahalanobis distance of the pooled features (Lee et al., NeurIPS 2018, section 2.1, with one class).
    shape: distance of the points from the training shapes. turn_deg: (least, most), clockwise, from the usual turn.
    size: (least, most), of the shape in heatmap px. joint: root of the summed squares of the first two distances, each
    over its limit; a picture that is near both limits at once is another kind, too. likeness: the features' distance
    from their own kind over that from the other kinds the network learned (Ren et al., arXiv 2106.09022, subtract).
    """

    features: float | None = None
    shape: float | None = None
    turn_deg: tuple[float, float] | None = None
    size: tuple[float, float] | None = None
    joint: float | None = None
    likeness: float | None = None

    @classmethod
    def from_card(cls, values: Mapping[str, object]) -> PictureLimits:
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


@dataclass(frozen=True)
class PictureCheck:
    """The training pictures as two Gaussians: of the network's features and of the points' shape; either may be absent.

    others: the features of the other kinds of pictures that the network learned.
    kind: what the pictures are, for the message ("lateral cephalometric radiograph").
    """

    limits: PictureLimits
    shape: ShapeModel | None = None
    features: LowRankGaussian | None = None
    kind: str = ""
    others: LowRankGaussian | None = None

    def fit_shape(self, peaks: PicturePeaks) -> ShapeFit | None:
        """How the points lie to each other; None without a shape model."""
        return None if self.shape is None else self.shape.compare(peaks.heatmap_xy)

    def objection(self, peaks: PicturePeaks, shape: ShapeFit | None) -> str:
        """Why the picture is taken for one of another kind, in plain words; empty where it is not."""
        grounds = [*self._feature_grounds(peaks), *([] if shape is None else self._shape_grounds(peaks, shape))]
        joint = self.joint_distance(peaks, shape)
        if not grounds and joint is not None and self.limits.joint is not None and joint > self.limits.joint:
            grounds = [
                f"content and points together are unlike theirs (distance {joint:.1f}, limit {self.limits.joint:.1f})"
            ]
        if not grounds:
            return ""
        return f"the picture does not look like those of the training ({self.kind}): {'; '.join(grounds)}"

    def feature_distance(self, peaks: PicturePeaks) -> float | None:
        """About 1 for a training picture; None where the network offers no features."""
        if self.features is None or peaks.features is None:
            return None
        return float(self.features.distance(peaks.features))

    def likeness(self, peaks: PicturePeaks) -> float | None:
        """Above 1 where the picture is more like the other kinds; None where that was not learned."""
        distance = self.feature_distance(peaks)
        if distance is None or self.others is None:
            return None
        return distance / max(float(self.others.distance(peaks.features)), 1e-6)

    def joint_distance(self, peaks: PicturePeaks, shape: ShapeFit | None) -> float | None:
        """Both distances over their limits, as one; None where one of them is not there."""
        distance = self.feature_distance(peaks)
        if distance is None or shape is None or self.limits.features is None or self.limits.shape is None:
            return None
        return math.hypot(distance / self.limits.features, shape.distance / self.limits.shape)

    def _feature_grounds(self, peaks: PicturePeaks) -> list[str]:
        distance, limit = self.feature_distance(peaks), self.limits.features
        if distance is not None and limit is not None and distance > limit:
            return [f"its content is unlike theirs (distance {distance:.1f}, limit {limit:.1f})"]
        likeness, limit = self.likeness(peaks), self.limits.likeness
        if likeness is not None and limit is not None and likeness > limit:
            return [
                f"its content is as like other kinds of pictures as theirs (ratio {likeness:.2f}, limit {limit:.2f})"
            ]
        return []

    def _shape_grounds(self, peaks: PicturePeaks, shape: ShapeFit) -> list[str]:
        limits, grounds = self.limits, []
        if limits.shape is not None and shape.distance > limits.shape:
            if self.shape.compare(peaks.heatmap_xy * (-1.0, 1.0)).distance <= limits.shape:
                return ["the points lie as theirs do in a mirror; flip the picture left to right"]
            return [
                f"the points do not lie to each other as theirs do (distance {shape.distance:.1f}, "
                f"limit {limits.shape:.1f})"
            ]
        if limits.turn_deg is not None and not limits.turn_deg[0] <= shape.turn_deg <= limits.turn_deg[1]:
            least, most = limits.turn_deg
            grounds.append(f"the points are turned by {shape.turn_deg:.0f}° (usual: {least:.0f}° to {most:.0f}°)")
        if limits.size is not None and not limits.size[0] <= shape.size <= limits.size[1]:
            is_small = shape.size < limits.size[0]
            grounds.append(f"the points lie {'closer together' if is_small else 'farther apart'} than theirs")
        return grounds
