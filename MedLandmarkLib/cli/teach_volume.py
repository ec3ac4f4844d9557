"""`medlandmark teach` where the annotated image is a volume: the volume itself becomes the model."""

from __future__ import annotations

from pathlib import Path

from ..errors import DatasetError
from ..image import read_image
from ..scheme import Scheme
from .teach_inputs import Annotated

_FEWEST_SLICES = 8  # what has fewer is read as single pictures


def holds_volume(annotated: Annotated) -> bool:
    """Whether the annotated image is a volume. Raises DatasetError for several of which one is; ImageError."""
    are_volumes = [read_image(path).size[2] >= _FEWEST_SLICES for path in annotated.images]
    if any(are_volumes) and len(are_volumes) > 1:
        raise DatasetError(
            f"{annotated.images[are_volumes.index(True)]} is a volume: it is taught from one annotated volume alone; "
            "for several, train on a dataset of volumes (medlandmark train)."
        )
    return any(are_volumes)


def taught_from_volume(
    annotated: Annotated, landmarks: Path | None, scheme: Scheme, output: Path, model_id: str
) -> Path:
    """The model's folder: registration carries the points over, so that there is nothing to train and to wait for."""
    from ..oneshot.volume import teach_from_volume

    ((image, points),) = annotated.pairs(landmarks)
    return teach_from_volume(image, points, scheme, output / "model", model_id)
