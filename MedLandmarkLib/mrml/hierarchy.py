"""Where a result stands in the Data module: in a folder of its own, beside the image, under the image's study.

- study, or whatever holds the image
  - image
  - folder "image head-19", one per result
    - image head-19 (the landmarks)
    - image head-19 measurements
    - image head-19 lines and angles

Outside Slicer's own application nobody makes items for nodes, so they are made here where they are missing.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

FOLDER_ATTRIBUTE = "MedLandmark.Folder"  # tells the folders that the module made from those of the user


def hierarchy_of(scene: Any) -> Any:
    """The subject hierarchy of a scene, made where there is none."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def place_result(scene: Any, node: Any, volume: Any | None) -> None:
    """Put a result into a folder beside its image, made where it stands in none yet."""
    hierarchy = hierarchy_of(scene)
    item = item_of(hierarchy, node)
    if not own_folders(scene, [node]):
        beside = hierarchy.GetItemParent(item if volume is None else item_of(hierarchy, volume))
        folder = hierarchy.CreateFolderItem(beside or hierarchy.GetSceneItemID(), node.GetName())
        hierarchy.SetItemAttribute(folder, FOLDER_ATTRIBUTE, "1")
        hierarchy.SetItemParent(item, folder)


def place_belonging(scene: Any, node: Any, result: Any) -> None:
    """Put a table or a model beside its result."""
    hierarchy = hierarchy_of(scene)
    hierarchy.SetItemParent(item_of(hierarchy, node), hierarchy.GetItemParent(item_of(hierarchy, result)))


def own_folders(scene: Any, nodes: list[Any]) -> list[int]:
    """The items of the folders that the module made and that hold any of the nodes."""
    hierarchy = hierarchy_of(scene)
    folders = {hierarchy.GetItemParent(item_of(hierarchy, node)) for node in nodes}
    return [folder for folder in folders if hierarchy.HasItemAttribute(folder, FOLDER_ATTRIBUTE)]


def remove_item(scene: Any, node: Any) -> None:
    """Take a node out of the hierarchy, but not out of the scene."""
    hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
    if hierarchy is not None and (item := hierarchy.GetItemByDataNode(node)):
        hierarchy.RemoveItem(item, False, False)


def remove_folders(scene: Any, folders: list[int]) -> None:
    """Remove folders; what the user put there moves up."""
    hierarchy = hierarchy_of(scene)
    for folder in folders:
        parent = hierarchy.GetItemParent(folder)
        for item in _children(hierarchy, folder):
            hierarchy.SetItemParent(item, parent)
        hierarchy.RemoveItem(folder, False, False)


def item_of(hierarchy: Any, node: Any) -> int:
    """The item of a node, made where there is none."""
    return hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def _children(hierarchy: Any, item: int) -> list[int]:
    children = vtk.vtkIdList()
    hierarchy.GetItemChildren(item, children)
    return [children.GetId(number) for number in range(children.GetNumberOfIds())]
