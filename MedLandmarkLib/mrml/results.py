"""A result: the landmarks of one detection in the scene, and everything that belongs to them.

The fiducial node is the result. Its table, its drawings and its folder refer to it, so that all of it is found again
after a scene was saved, loaded, or imported into another one.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import MedLandmarkError
from ..image import Calibration
from ..landmark import Landmark, LandmarkSet, Status
from ..scheme import Scheme
from .calibration import ijk_to_ras, keep_calibration, stored_calibration, volume_calibration
from .hierarchy import (
    own_folders,
    place_belonging,
    place_result,
    remove_folders,
    remove_item,
)
from .markups import LANDMARKS_KEY, volume_of, write_landmarks
from .nodes import (
    RESULT_ROLE,
    VOLUME_ROLE,
    active_place_node_kept,
    nodes_of_class,
    nodes_with_role,
    one_modification,
)
from .origin import Provenance, has_origin, keep_origin, kept_result_id, scheme_of, show_origin
from .reading import in_current_space, read_foreign_landmarks, read_landmarks
from .records import kept
from .sequences import enter_browser, leave_browser
from .uncertainty import keep_uncertainty

RESULT_KEY = "MedLandmark.Result"  # an id that tells a result from its copies
FIDUCIAL_CLASS = "vtkMRMLMarkupsFiducialNode"
# What may belong to a result; what others refer to comes later, so that it is put back first.
BELONGINGS = (
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLModelNode",
    "vtkMRMLTableNode",
    "vtkMRMLSequenceNode",
)
# Per cent of the view. A landmark is a place, and Slicer's default ball (3) hides the anatomy that it marks.
GLYPH_SCALE, TEXT_SCALE = 1.5, 2.0


def create_result(
    scene: Any,
    volume: Any | None,
    landmarks: LandmarkSet,
    scheme: Scheme,
    *,
    provenance: Provenance | None = None,
    calibration: Calibration | None = None,
    name: str = "",
) -> Any:
    """A new fiducial node with the landmarks on their image, in a folder beside it; they are kept as the prediction.

    volume may be None for points that belong to no image. calibration is that of the image they were found in; it is
    kept with a volume that has none of its own, so that the scene remembers where the millimetres came from.
    Raises MedLandmarkError, and leaves the scene as it was, where landmarks and scheme, or landmarks and image, do not
    fit each other (see `write_landmarks`).
    """
    name = name or scene.GenerateUniqueName(f"{volume.GetName()} {scheme.id}" if volume is not None else scheme.id)
    node = scene.AddNewNodeByClass(FIDUCIAL_CLASS, name)
    result_id = uuid.uuid4().hex
    try:
        with one_modification(node):
            node.CreateDefaultDisplayNodes()
            if volume is not None:
                node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
                node.SetNodeReferenceID(VOLUME_ROLE, volume.GetID())
            keep_origin(node, scheme, provenance or Provenance(), landmarks, result_id)
            if volume is not None and provenance is not None:
                keep_uncertainty(node, provenance.settings, ijk_to_ras(volume))
            write_landmarks(node, landmarks, scheme)
            node.SetAttribute(RESULT_KEY, result_id)
    except MedLandmarkError:
        _remove_node(scene, node)
        raise
    node.GetDisplayNode().SetGlyphScale(GLYPH_SCALE)
    node.GetDisplayNode().SetTextScale(TEXT_SCALE)
    place_result(scene, node, volume)
    if volume is not None and calibration is not None and stored_calibration(volume) is None:
        keep_calibration(volume, calibration)
    return node


def adopt_markups(scene: Any, node: Any, volume: Any | None, scheme: Scheme) -> Any:
    """A result from a fiducial node that came out of a file or was placed by hand.

    A node that the module itself wrote (its file was loaded alone, which loses the link to the image) becomes a result
    again. Of any other node the points are copied by label into a new result; what is not there is undefined.
    Raises MedLandmarkError where no point carries a label of the scheme, or volume and points do not fit.
    """
    if kept(node, LANDMARKS_KEY) is not None and has_origin(node):
        if volume is not None:
            node.SetNodeReferenceID(VOLUME_ROLE, volume.GetID())
        restore_result(scene, node)
        place_result(scene, node, volume)
        return node
    landmarks = read_foreign_landmarks(node, scheme)
    if volume is not None:
        landmarks = _on_volume(landmarks, volume)
    name = scene.GenerateUniqueName(f"{node.GetName()} {scheme.id}")
    return create_result(scene, volume, landmarks, scheme, name=name)


def restore_result(scene: Any, node: Any) -> LandmarkSet:
    """Make a loaded, imported or cloned node whole: an id of its own, and points that lie where their landmarks do.

    Files hold no coordinates of missing points, and an image may have been given another place or spacing while the
    module was not there. Returns the landmarks. Raises MedLandmarkError.
    """
    result_id = node.GetAttribute(RESULT_KEY) or kept_result_id(node)
    taken = {other.GetAttribute(RESULT_KEY) for other in nodes_of_class(scene, FIDUCIAL_CLASS) if other is not node}
    landmarks = read_landmarks(node)
    with one_modification(node):
        node.SetAttribute(RESULT_KEY, uuid.uuid4().hex if not result_id or result_id in taken else result_id)
        show_origin(node)
        write_landmarks(node, landmarks, scheme_of(node))
    return landmarks


def keep_on_pixels(node: Any) -> LandmarkSet:
    """Move the points of a result to their pixels after its image was calibrated or moved. Returns the landmarks.

    They are in mm from then on exactly where the image has a calibration.
    """
    volume = volume_of(node)
    in_mm = None if volume is None else volume_calibration(volume).kind != "none"
    landmarks = in_current_space(node, read_landmarks(node), in_mm)
    write_landmarks(node, landmarks, scheme_of(node))
    return landmarks


def results(scene: Any) -> list[Any]:
    """The results in a scene, in its order."""
    return [node for node in nodes_of_class(scene, FIDUCIAL_CLASS) if is_result(node)]


def results_of(scene: Any, volume: Any) -> list[Any]:
    """The results on one image."""
    return [node for node in results(scene) if volume_of(node) is volume]


def find_result(scene: Any, result_id: str) -> Any | None:
    """The result with that id; None where it was removed."""
    return next((node for node in results(scene) if node.GetAttribute(RESULT_KEY) == result_id), None)


def is_result(node: Any) -> bool:
    return bool(node.GetAttribute(RESULT_KEY)) and bool(node.GetAttribute(LANDMARKS_KEY))


def remove_result(scene: Any, node: Any) -> list[Any]:
    """Take a result out of the scene, with its table, its drawings and its folders.

    Returns the nodes, for `put_back`.
    """
    belongings = [other for class_name in BELONGINGS for other in nodes_with_role(scene, class_name, RESULT_ROLE, node)]
    leave_browser(scene, node)
    folders = own_folders(scene, [*belongings, node])
    removed = []
    for other in [*belongings, node]:
        removed = _remove_node(scene, other) + removed
    remove_folders(scene, folders)
    return removed


def put_back(scene: Any, nodes: list[Any]) -> None:
    """Bring back what `remove_result` took away: the same nodes, under the same ids, in their places."""
    with active_place_node_kept(scene):
        for node in nodes:
            scene.AddNode(node)
    result = next(node for node in nodes if node.IsA(FIDUCIAL_CLASS) and is_result(node))
    place_result(scene, result, volume_of(result))
    for node in nodes:
        if node.GetNodeReferenceID(RESULT_ROLE) == result.GetID():
            place_belonging(scene, node, result)
    enter_browser(scene, result)


def _remove_node(scene: Any, node: Any) -> list[Any]:
    """Take a node out of the scene with its display and storage nodes, which nothing else uses; returned before it."""
    helpers = []
    if node.IsA("vtkMRMLDisplayableNode"):
        helpers += [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        helpers += [node.GetNthStorageNode(number) for number in range(node.GetNumberOfStorageNodes())]
    helpers = [helper for helper in helpers if helper is not None]
    remove_item(scene, node)
    scene.RemoveNode(node)
    for helper in helpers:
        scene.RemoveNode(helper)
    return [*helpers, node]


def _on_volume(landmarks: LandmarkSet, volume: Any) -> LandmarkSet:
    """Landmarks known by their place in the world, with their pixels; in mm only where the image has a calibration."""
    matrix = ijk_to_ras(volume)
    in_mm = volume_calibration(volume).kind != "none"
    is_flat = volume.GetImageData().GetDimensions()[2] == 1

    def placed(landmark: Landmark) -> Landmark:
        if landmark.ras is None:
            return landmark
        ijk = np.linalg.solve(matrix, [*landmark.ras, 1.0])[:3]
        if is_flat:
            ijk[2] = 0.0
        ras = matrix[:3, :3] @ ijk + matrix[:3, 3]
        is_as_predicted = landmark.status in (Status.PREDICTED, Status.DOUBTFUL, Status.ACCEPTED)
        position = tuple(float(value) for value in ijk)
        return replace(
            landmark,
            ijk=position,
            ras=tuple(float(value) for value in ras) if in_mm else None,
            predicted_ijk=position if is_as_predicted else None,
        )

    return replace(landmarks, landmarks=tuple(placed(landmark) for landmark in landmarks))
