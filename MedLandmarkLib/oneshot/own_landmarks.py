"""Landmarks that a user thought of, through a teaching: their scheme in the run's folder, and beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DatasetError, SchemeError
from ..models.own_scheme import keep_scheme
from ..scheme import SCHEME_NAME, Scheme, load_scheme, own_scheme, write_scheme
from ..scheme.store import scheme_ids
from .request import TeachResult


def scheme_of_names(names: Sequence[str], model_id: str, folder: Path) -> Scheme:
    """The scheme of these landmarks, named after the model, in the file scheme.json of the run's folder.

    Raises SchemeError where the id is that of a shipped scheme, and DatasetError where the folder holds a teaching of
    other landmarks.
    """
    scheme, content = own_scheme(names, model_id)
    if scheme.id in scheme_ids():
        raise SchemeError(f"'{scheme.id}' is the id of a scheme of MedLandmark; give the model another id.")
    path = folder / SCHEME_NAME
    if path.is_file():
        before = load_scheme(path)
        if before.names != scheme.names or before.id != scheme.id:
            raise DatasetError(
                f"{folder} holds a teaching of scheme {before.id} with other landmarks ({', '.join(before.names[:4])}, "
                "...). Give another folder, or the same points to go on."
            )
        return before
    folder.mkdir(parents=True, exist_ok=True)
    return write_scheme(content, path)


def with_own_scheme(result: TeachResult, scheme: Scheme) -> TeachResult:
    """The result, its model folder complete: a scheme that does not ship lies beside the card."""
    if not (result.model / SCHEME_NAME).is_file():
        keep_scheme(result.model, scheme)
    return result
