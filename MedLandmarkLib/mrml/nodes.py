"""What every room of the scene layer needs of MRML nodes: batches of changes, JSON kept in a node, matrices, roles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import vtk

from ..errors import MedLandmarkError

# Roles of node references. Unlike an id kept in an attribute, a reference survives a scene that is imported into
# another one, where ids are given out anew.
VOLUME_ROLE = "medLandmarkVolume"  # from a result to its image
RESULT_ROLE = "medLandmarkResult"  # from a table or a drawing to the result that it belongs to


@contextmanager
def one_modification(*nodes: Any) -> Iterator[None]:
    """Hold back the events of some nodes, so that observers see all changes of a batch as one."""
    disabled = [node.StartModify() for node in nodes]
    try:
        yield
    finally:
        for node, was_disabled in zip(nodes, disabled, strict=True):
            node.EndModify(was_disabled)


@contextmanager
def active_place_node_kept(scene: Any) -> Iterator[None]:
    """Leave the node that mouse clicks add points to as it is: Slicer makes every new markups node the active one."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    before = (selection.GetActivePlaceNodeID(), selection.GetActivePlaceNodeClassName()) if selection else None
    try:
        yield
    finally:
        if selection:
            node_id, class_name = before
            selection.SetActivePlaceNodeClassName(class_name)
            selection.SetActivePlaceNodeID(node_id if node_id and scene.GetNodeByID(node_id) else None)


class Observations:
    """The observers that one object has put on nodes; `clear` takes them all away again."""

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def add(self, node: Any, event: int, callback: Callable[[], None]) -> None:
        """Call `callback()` at every `event` of the node."""
        # The default matters: Slicer sends the same event with a point's index and, at the end of a batch, without.
        self._tags.append((node, node.AddObserver(event, lambda _caller, _event, _data=None: callback())))

    def clear(self) -> None:
        for node, tag in self._tags:
            node.RemoveObserver(tag)
        self._tags.clear()


def store_json(node: Any, key: str, value: Any) -> None:
    """Keep plain data in an attribute of a node, where it is saved with the scene. NaN is refused (ValueError)."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    if node.GetAttribute(key) != text:
        node.SetAttribute(key, text)


def load_json(node: Any, key: str) -> Any | None:
    """What `store_json` kept; None where there is nothing. Raises MedLandmarkError where it cannot be read."""
    return parsed_json(node, key, node.GetAttribute(key))


def parsed_json(node: Any, key: str, text: str | None) -> Any | None:
    """JSON `text` found in a node under `key`; None where it is empty. Raises MedLandmarkError."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MedLandmarkError(
            f"Node '{node.GetName()}' is damaged: its attribute {key} is not JSON ({error}). Remove the attribute to "
            "go on without what it held."
        ) from error


def array_from_matrix(matrix: Any) -> np.ndarray:
    """A vtkMatrix4x4 as (4, 4) float64."""
    return np.array([matrix.GetElement(row, column) for row in range(4) for column in range(4)], float).reshape(4, 4)


def to_parent_matrix(node: Any) -> np.ndarray:
    """(4, 4): from a node's own coordinates to the world, through its parent transforms. Raises ValueError where one
    of them is not linear."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise ValueError(f"the transform '{transform.GetName()}' above '{node.GetName()}' is not linear")
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return array_from_matrix(matrix)


def world_from_local(node: Any, local: np.ndarray) -> np.ndarray:
    """A point (3,) of the node's own coordinates in the world, RAS mm, through whatever transform there is."""
    world = [0.0, 0.0, 0.0]
    node.TransformPointToWorld([float(value) for value in local], world)
    return np.array(world)


def local_from_world(node: Any, ras: np.ndarray) -> np.ndarray:
    """A point (3,) of the world, RAS mm, in the node's own coordinates."""
    local = [0.0, 0.0, 0.0]
    node.TransformPointFromWorld([float(value) for value in ras], local)
    return np.array(local)


def nodes_of_class(scene: Any, class_name: str) -> list[Any]:
    """The nodes of a class, its subclasses included, in the scene's order."""
    return [scene.GetNthNodeByClass(number, class_name) for number in range(scene.GetNumberOfNodesByClass(class_name))]


def nodes_with_role(scene: Any, class_name: str, role: str, target: Any) -> list[Any]:
    """The nodes of a class that refer to `target` by `role`, in the scene's order."""
    return [node for node in nodes_of_class(scene, class_name) if node.GetNodeReferenceID(role) == target.GetID()]
