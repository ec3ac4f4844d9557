"""Undo and redo of what the module does, and the place of results in the Data module."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install slicer-core)")
import vtk
from profiles import FACE, HEAD
from scenes import SceneHost, add_volume, detected, drag, errors_in_callbacks

from MedLandmarkLib.landmark import Status
from MedLandmarkLib.mrml import (
    CommandStack,
    ResultCreated,
    Review,
    clear_on_close,
    create_result,
    find_result,
    read_landmarks,
    remove_result,
    results,
)
from MedLandmarkLib.mrml.hierarchy import hierarchy_of

POINTS = np.array(FACE) + [30, 10]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def a_desk():
    host = SceneHost()
    hierarchy = hierarchy_of(host.scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "2026")
    volume = add_volume(host.scene)
    hierarchy.CreateItem(study, volume)
    told: list[str] = []
    clock = Clock()
    stack = CommandStack(on_message=told.append, clock=clock)
    landmarks = detected(HEAD, POINTS)
    node = create_result(host.scene, volume, landmarks, HEAD)
    stack.push(ResultCreated(host.scene, node, "detect head-19 in ceph"))
    review = Review(host.scene, node, stack)
    with errors_in_callbacks() as errors:
        yield SimpleNamespace(
            host=host, scene=host.scene, study=study, hierarchy=hierarchy, volume=volume, stack=stack, node=node,
            review=review, detected=landmarks, told=told, clock=clock,
        )  # fmt: skip
        review.close()
    assert errors == []
    host.scene.Clear(True)


def tree(desk) -> list[str]:
    """The names in the Data module, indented by their depth."""
    lines = []

    def walk(item: int, depth: int) -> None:
        children = vtk.vtkIdList()
        desk.hierarchy.GetItemChildren(item, children)
        for number in range(children.GetNumberOfIds()):
            child = children.GetId(number)
            lines.append("  " * depth + desk.hierarchy.GetItemName(child))
            walk(child, depth + 1)

    walk(desk.hierarchy.GetSceneItemID(), 0)
    return lines


TREE = ["2026", "  ceph", "  ceph head-19", "    ceph head-19", "    ceph head-19 measurements"]


def move(desk, number: int, i: float, j: float) -> None:
    drag(desk.node, number, (-i - 1, -j, 0.0), (-i, -j, 0.0))


def test_every_command_can_be_undone_and_redone(a_desk) -> None:
    review, stack = a_desk.review, a_desk.stack
    states, texts = [review.landmarks], []
    for do in (
        lambda: move(a_desk, 0, 33, 44),
        lambda: review.accept(["Nasion", HEAD.names[17]]),
        review.accept_all_confident,
        lambda: review.mark_missing(["Menton"]),
        lambda: review.revert(["Sella", "Menton"]),
        lambda: a_desk.node.UnsetNthControlPointPosition(2),
    ):
        do()
        states.append(review.landmarks)
        texts.append(stack.undo_text)
    assert texts == [
        "edit Sella", "accept 2 landmarks", "accept 15 landmarks", "mark missing Menton", "revert 2 landmarks",
        "unset Orbitale",
    ]  # fmt: skip
    assert len(set(states)) == 7
    for state, text in zip(states[-2::-1], texts[::-1], strict=True):
        assert stack.undo_text == text
        assert stack.undo()
        assert review.landmarks == read_landmarks(a_desk.node) == state
        assert stack.redo_text == text
    assert stack.undo_text == "detect head-19 in ceph"
    for state in states[1:]:
        assert stack.redo()
        assert review.landmarks == read_landmarks(a_desk.node) == state
    assert not stack.redo()
    assert a_desk.told == []


def test_a_detection_is_undone_whole_and_comes_back_as_it_was(a_desk) -> None:
    a_desk.review.show_drawings(True)
    move(a_desk, 0, 33, 44)
    before, nodes, id_before = a_desk.review.landmarks, a_desk.scene.GetNumberOfNodes(), a_desk.node.GetID()
    lines_before = tree(a_desk)
    assert lines_before[:5] == TREE
    drawn = "    ceph head-19 lines and angles"
    assert lines_before[5:] == [drawn, f"{drawn} (doubtful)"]
    assert a_desk.stack.undo() and a_desk.stack.undo()
    assert results(a_desk.scene) == []
    assert tree(a_desk) == ["2026", "  ceph"]
    assert a_desk.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 0
    assert a_desk.scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
    assert a_desk.scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 0
    assert a_desk.scene.GetNumberOfNodesByClass("vtkMRMLModelDisplayNode") == 0
    assert a_desk.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsDisplayNode") == 0
    assert a_desk.stack.redo() and a_desk.stack.redo()
    assert results(a_desk.scene) == [a_desk.node]
    assert a_desk.node.GetID() == id_before
    assert a_desk.review.landmarks == read_landmarks(a_desk.node) == before
    assert a_desk.scene.GetNumberOfNodes() == nodes
    assert sorted(tree(a_desk)) == sorted(lines_before)
    move(a_desk, 1, 50, 60)  # the review is alive again
    assert a_desk.review.landmarks["Nasion"].status is Status.EDITED


def test_nudges_of_one_point_are_one_step(a_desk) -> None:
    for step in range(5):
        a_desk.clock.now_s += 1
        move(a_desk, 0, 40 + step, 50)
    move(a_desk, 1, 70, 30)
    assert a_desk.stack.undo_text == "edit Nasion"
    assert a_desk.stack.undo()
    assert a_desk.review.landmarks["Sella"].ijk == pytest.approx((44, 50, 0))
    assert a_desk.stack.undo()
    assert a_desk.review.landmarks == a_desk.detected
    assert a_desk.stack.redo()
    assert a_desk.review.landmarks["Sella"].ijk == pytest.approx((44, 50, 0))


def test_drags_with_a_pause_between_them_are_steps_of_their_own(a_desk) -> None:
    move(a_desk, 0, 40, 50)
    a_desk.clock.now_s += 10
    move(a_desk, 0, 41, 50)
    a_desk.stack.undo()
    assert a_desk.review.landmarks["Sella"].ijk == pytest.approx((40, 50, 0))


def test_a_drag_after_an_undo_starts_a_step_of_its_own(a_desk) -> None:
    move(a_desk, 0, 40, 50)
    a_desk.clock.now_s += 10
    move(a_desk, 0, 41, 50)
    a_desk.stack.undo()
    move(a_desk, 0, 42, 50)
    assert a_desk.stack.redo_text == ""
    a_desk.stack.undo()
    assert a_desk.review.landmarks["Sella"].ijk == pytest.approx((40, 50, 0))


def test_commands_on_a_deleted_result_are_dropped_with_a_message(a_desk) -> None:
    move(a_desk, 0, 40, 50)
    a_desk.review.accept(["Nasion"])
    a_desk.scene.RemoveNode(a_desk.node)
    assert not a_desk.stack.undo()
    assert a_desk.told == [
        "'accept Nasion' cannot be undone: its result was deleted. 'edit Sella' cannot be undone: its result was "
        "deleted. 'detect head-19 in ceph' cannot be undone: its result was deleted."
    ]
    assert a_desk.stack.undo_text == a_desk.stack.redo_text == ""


def test_a_command_of_another_result_is_still_undone(a_desk) -> None:
    other = create_result(a_desk.scene, a_desk.volume, a_desk.detected, HEAD)
    assert other.GetName() == "ceph head-19_1"
    other_review = Review(a_desk.scene, other, a_desk.stack)
    other_review.accept(["Nasion"])
    move(a_desk, 0, 40, 50)
    remove_result(a_desk.scene, a_desk.node)
    assert a_desk.stack.undo()
    assert len(a_desk.told) == 1
    assert other_review.landmarks == a_desk.detected
    other_review.close()


def test_closing_the_scene_forgets_everything(a_desk) -> None:
    changes = []
    a_desk.stack.on_change = lambda: changes.append(a_desk.stack.undo_text)
    observations = clear_on_close(a_desk.stack, a_desk.scene)
    a_desk.review.accept(["Nasion"])
    a_desk.review.close()
    a_desk.scene.Clear(False)
    assert changes == ["accept Nasion", ""]
    assert not a_desk.stack.undo()
    assert a_desk.told == []
    observations.clear()


def test_slicers_own_undo_is_left_alone(a_desk) -> None:
    assert a_desk.scene.GetUndoFlag() == 0
    a_desk.review.accept(["Nasion"])
    a_desk.stack.undo()
    assert a_desk.scene.GetNumberOfUndoLevels() == 0
    assert not a_desk.node.GetUndoEnabled()


def test_the_stack_does_not_grow_for_ever(a_desk) -> None:
    a_desk.stack.depth = 7
    for _ in range(10):
        a_desk.review.accept(["Nasion"])
        a_desk.review.revert(["Nasion"])
    count = 0
    while a_desk.stack.undo():
        count += 1
    assert count == 7


def test_a_result_stands_beside_its_image(a_desk) -> None:
    assert tree(a_desk) == TREE
    remove_result(a_desk.scene, a_desk.node)
    assert tree(a_desk) == ["2026", "  ceph"]


def test_what_the_user_put_into_the_folder_stays(a_desk) -> None:
    own = add_volume(a_desk.scene, name="copy")
    folder = a_desk.hierarchy.GetItemParent(a_desk.hierarchy.GetItemByDataNode(a_desk.node))
    a_desk.hierarchy.CreateItem(folder, own)
    remove_result(a_desk.scene, a_desk.node)
    assert tree(a_desk) == ["2026", "  ceph", "  copy"]
    assert a_desk.scene.IsNodePresent(own)


def test_a_result_that_the_user_moved_is_found_there(a_desk) -> None:
    shelf = a_desk.hierarchy.CreateFolderItem(a_desk.hierarchy.GetSceneItemID(), "shelf")
    a_desk.hierarchy.SetItemParent(a_desk.hierarchy.GetItemByDataNode(a_desk.node), shelf)
    a_desk.review.show_drawings(True)
    assert "  ceph head-19 lines and angles" in tree(a_desk)[tree(a_desk).index("shelf") :]
    remove_result(a_desk.scene, a_desk.node)
    assert tree(a_desk) == ["2026", "  ceph", "shelf"]


def test_two_results_on_one_image_have_a_folder_each(a_desk) -> None:
    create_result(a_desk.scene, a_desk.volume, a_desk.detected, HEAD)
    assert tree(a_desk)[-2:] == ["  ceph head-19_1", "    ceph head-19_1"]
    assert find_result(a_desk.scene, a_desk.node.GetAttribute("MedLandmark.Result")) is a_desk.node
