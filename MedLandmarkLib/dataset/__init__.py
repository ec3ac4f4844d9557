"""Images with reference landmarks, as training and evaluation read them: folders of tables and COCO keypoint files."""

from .cases import MEAN_RATER, Case, LandmarkDataset, Point
from .finding import Finding
from .reading import examine_dataset, read_dataset, with_names_of

__all__ = [
    "MEAN_RATER",
    "Case",
    "Finding",
    "LandmarkDataset",
    "Point",
    "examine_dataset",
    "read_dataset",
    "with_names_of",
]
