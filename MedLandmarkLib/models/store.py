"""The models of this computer: which are here, getting them, checking them, loading them, removing them.

This is the door that the rest of the library uses. Listing needs no torch; it is loaded where weights are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError
from .catalogue import ModelCard, read_card
from .fetching import download_model
from .folder import CARD_NAME, Progress, damaged_models, models_folder
from .inventory import (
    cards_to_fetch,
    find_model,
    how_to_get,
    installed_models,
    known_models,
    missing_files,
    require_installed,
)
from .own_scheme import is_model_path
from .upkeep import FileCheck, delete_model, verify_model

if TYPE_CHECKING:
    from .loading import LoadedModel

__all__ = [
    "FileCheck",
    "cards_to_fetch",
    "damaged_models",
    "delete_model",
    "download_model",
    "find_model",
    "how_to_get",
    "import_model",
    "installed_models",
    "known_models",
    "load_model",
    "missing_files",
    "model_card",
    "models_folder",
    "require_installed",
    "verify_model",
]


def load_model(model: str) -> LoadedModel:
    """The network of a model on the CPU, fp32, ready to run. Raises ModelError.

    model: the id of an installed one, or the path of a model folder, as training leaves it. A path is told from an id
    by its separator: "runs/mine/model", "./model".
    """
    from .loading import load

    return load(model_card(model))


def model_card(model: str) -> ModelCard:
    """The card of a model that is here: an installed one's id, or the path of a model folder. Raises ModelError."""
    return read_card(Path(model) / CARD_NAME) if is_model_path(model) else require_installed(model)


def import_model(
    files: Sequence[Path],
    model_id: str | None = None,
    *,
    base: Path | None = None,
    scheme: str | None = None,
    architecture: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> list[ModelCard]:
    """Installs models from files that are already here; see `importing.import_files`.

    A model that describes itself (a folder with card.json, a zip of one) says itself what its channels mean.
    """
    from .folder import is_model_folder
    from .shared import import_model_folder

    if any(is_model_folder(path) for path in files):
        if len(files) > 1 or base is not None or scheme is not None or architecture is not None:
            raise ModelError(
                "A model folder, or a zip of one, is imported by itself: it says what its base, its scheme and its "
                "architecture are."
            )
        return [import_model_folder(files[0], model_id, force=force, progress=progress)]
    from .importing import import_files

    return import_files(
        files,
        model_id,
        base=base,
        scheme=scheme,
        architecture=architecture,
        force=force,
        progress=progress,
    )
