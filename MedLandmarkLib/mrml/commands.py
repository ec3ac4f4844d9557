"""Undo and redo of what the module does to landmarks, apart from Slicer's own undo, which it never touches.

The stack is plain Python and knows commands by `Command` alone. A command refers to a result by its id and not to a
node, so that one whose result was deleted is dropped with a message, not with a crash.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import slicer

from ..errors import MedLandmarkError
from ..landmark import LandmarkSet
from .markups import write_landmarks
from .nodes import Observations
from .origin import scheme_of
from .reading import in_current_space
from .results import RESULT_KEY, find_result, put_back, remove_result

DEPTH = 200  # a snapshot of 70 landmarks takes some 50 kB
ACTIONS = ("edit", "accept", "revert", "unset", "mark missing")
MERGE_WITHIN_S = 2.0  # nudges of one point that follow each other this closely are one step back


class CommandGone(MedLandmarkError):
    """A command cannot be undone or redone, because what it changed was deleted."""


class Command(Protocol):
    """Something that was done, and can be undone and done again."""

    @property
    def text(self) -> str:
        """What was done, for the user: "edit Sella"."""

    def undo(self) -> None: ...

    def redo(self) -> None: ...

    def merged_with(self, later: Command) -> Command | None:
        """One command in the place of both, where they are one step to the user; else None."""


@dataclass(frozen=True, eq=False)
class ResultChanged(ABC):
    """Points of one result that were edited, accepted, reverted, unset or marked missing.

    action is one of those in ACTIONS, and names are the landmarks that it was done to; before and after: all points.
    """

    scene: Any
    result_id: str
    action: str
    names: tuple[str, ...]
    before: Any
    after: Any

    @property
    def text(self) -> str:
        what = self.names[0] if len(self.names) == 1 else f"{len(self.names)} landmarks"
        return f"{self.action} {what}"

    def undo(self) -> None:
        self._write(self.before)

    def redo(self) -> None:
        self._write(self.after)

    def merged_with(self, later: Command) -> Command | None:
        """Drags of one point that follow each other are one."""
        is_one_drag = (
            isinstance(later, type(self))
            and len(self.names) == 1
            and self.action == later.action == "edit"
            and self._what_was_moved == later._what_was_moved
        )
        return replace(later, before=self.before) if is_one_drag else None

    @property
    def _what_was_moved(self) -> tuple[Any, ...]:
        return self.result_id, self.names

    @abstractmethod
    def _write(self, points: Any) -> None:
        """Put these points in the place of what the result has. Raises CommandGone."""


class LandmarksChanged(ResultChanged):
    """A change of one picture's landmarks; before and after are landmark sets."""

    def _write(self, points: LandmarkSet) -> None:
        node = existing_result(self.scene, self.result_id)
        # The image may have been calibrated since; the pixels are what counts.
        write_landmarks(node, in_current_space(node, points), scheme_of(node))


class ResultCreated:
    """A result that was put into the scene, by a detection or by adopting points."""

    def __init__(self, scene: Any, node: Any, text: str) -> None:
        self.scene, self.text, self.result_id = scene, text, node.GetAttribute(RESULT_KEY)
        self._removed: list[Any] = []

    def undo(self) -> None:
        """Take the result out, with whatever belongs to it by now; it is kept to be put back as it was."""
        self._removed = remove_result(self.scene, existing_result(self.scene, self.result_id))

    def redo(self) -> None:
        put_back(self.scene, self._removed)
        self._removed = []

    def merged_with(self, later: Command) -> Command | None:
        return None


@dataclass
class CommandStack:
    """What was done and what was undone.

    on_change is called when either changed; on_message gets a sentence for the user when a command was dropped.
    """

    on_change: Callable[[], None] = lambda: None
    on_message: Callable[[str], None] = lambda text: None
    clock: Callable[[], float] = time.monotonic
    depth: int = DEPTH
    _done: list[Command] = field(default_factory=list)
    _undone: list[Command] = field(default_factory=list)
    _pushed_at: float = float("-inf")

    @property
    def undo_text(self) -> str:
        """What `undo` would undo; empty where there is nothing."""
        return self._done[-1].text if self._done else ""

    @property
    def redo_text(self) -> str:
        """What `redo` would do again; empty where there is nothing."""
        return self._undone[-1].text if self._undone else ""

    def push(self, command: Command) -> None:
        """Note a command that was just carried out. What was undone before can not be redone any more."""
        now = self.clock()
        merged = None
        if self._done and not self._undone and now - self._pushed_at <= MERGE_WITHIN_S:
            merged = self._done[-1].merged_with(command)
        if merged is not None:
            self._done[-1] = merged
        else:
            self._done.append(command)
            del self._done[: -self.depth]
        self._undone.clear()
        self._pushed_at = now
        self.on_change()

    def undo(self) -> bool:
        """Undo the latest command that still can be; whether there was one."""
        return self._step(self._done, self._undone, "undo")

    def redo(self) -> bool:
        """Do the latest undone command again; whether there was one."""
        return self._step(self._undone, self._done, "redo")

    def clear(self) -> None:
        """Forget everything, as when the scene is closed."""
        if self._done or self._undone:
            self._done.clear()
            self._undone.clear()
            self.on_change()

    def _step(self, source: list[Command], target: list[Command], action: str) -> bool:
        self._pushed_at = float("-inf")
        is_done, dropped = False, []
        while source and not is_done:
            command = source.pop()
            try:
                getattr(command, action)()
                target.append(command)
                is_done = True
            except MedLandmarkError as error:
                dropped.append(f"'{command.text}' cannot be {action}ne: {error}")
        if dropped:
            self.on_message(" ".join(dropped))
        self.on_change()
        return is_done


def clear_on_close(stack: CommandStack, scene: Any) -> Observations:
    """Make a stack forget everything when the scene is closed; the observations end with `clear()`."""
    observations = Observations()
    observations.add(scene, slicer.vtkMRMLScene.StartCloseEvent, stack.clear)
    return observations


def existing_result(scene: Any, result_id: str) -> Any:
    """The result with that id. Raises CommandGone where it was deleted."""
    node = find_result(scene, result_id)
    if node is None:
        raise CommandGone("its result was deleted.")
    return node
