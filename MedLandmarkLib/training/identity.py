"""What must not change between the sittings of one training run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .batches import Batches
from .canvases import Canvases

# settings that say how long and how comfortably a run goes, not which steps it takes
_FREE = {"epochs", "validate_every", "patience", "checkpoint_every", "checkpoint_gradients", "accumulate", "views"}


def run_identity(batches: Batches) -> dict[str, Any]:
    """The settings and data on which every step of a run depends, as plain values."""
    recipe = {name: value for name, value in batches.recipe.as_dict().items() if name not in _FREE}
    data = [_described(canvas) for canvas in batches.canvases]
    return {**recipe, "portions of a step (devices × accumulate)": batches.portions, "data": data}


def require_same_run(folder: Path, stored: Mapping[str, Any] | None, asked: Mapping[str, Any]) -> None:
    """DatasetError where `folder` holds a run of other settings; None (of an earlier version) is believed."""
    changed = [name for name in asked if stored is not None and name in stored and stored[name] != asked[name]]
    if changed:
        name = changed[0]
        raise DatasetError(
            f"{folder} holds a run with {name} {stored[name]}, not {asked[name]}. Give another --output, or the same "
            "settings to continue it."
        )


def _described(canvas: Canvases) -> str:
    task = canvas.task
    width, height = task.canvas_wh
    channels = f"channels {task.channels.start} to {task.channels.stop}"
    return f"{task.scheme_id}, {channels}, {width}x{height} px, {len(canvas)} images"
