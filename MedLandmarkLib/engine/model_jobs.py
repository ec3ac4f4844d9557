"""Jobs on the models of this computer: list, download, import, delete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from .detector_shelf import DetectorShelf
from .jobs import JobContext

if TYPE_CHECKING:
    from ..models.catalogue import ModelCard


def list_job(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """{"models": [...]}: every model that is here or may be fetched. It needs no torch."""
    from ..models.store import known_models

    return {"models": [_record(card) for card in known_models()]}


def download_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """fields: id; accept_license: the user has read the licence; accept_changed. {"installed": [ids]}.

    Raises ModelError, and DetectionCancelled.
    """
    from ..models.store import cards_to_fetch, download_model

    given = _checked(fields, {"id": str}, {"accept_license": bool, "accept_changed": bool})
    total = sum(card.size_bytes or 0 for card in cards_to_fetch(given["id"]))
    downloading, installing = context.part(0.0, 0.9), context.part(0.9, 1.0)

    def count(done: int, size: int | None) -> None:
        expected = max(total, size or 0)
        share = f"{done / 1e6:.0f} of {expected / 1e6:.0f} MB" if expected else f"{done / 1e6:.0f} MB"
        downloading(done / expected if expected else 0.0, f"Downloading, {share}")

    shelf.clear()  # a model that is being replaced must not stay open
    cards = download_model(
        given["id"],
        accept_license=given.get("accept_license", False),
        accept_changed=given.get("accept_changed", False),
        progress=installing,
        bytes_progress=count,
        should_stop=context.should_stop,
    )
    return {"installed": [card.id for card in cards]}


def import_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """fields: files; id, base, scheme, architecture, force as in `import_model`. {"installed": [ids]}."""
    from ..models.store import import_model

    optional = {"id": str, "base": str, "scheme": str, "architecture": str, "force": bool}
    given = _checked(fields, {"files": list}, optional)
    shelf.clear()
    cards = import_model(
        [Path(file) for file in given["files"]],
        given.get("id"),
        base=Path(given["base"]) if "base" in given else None,
        scheme=given.get("scheme"),
        architecture=Path(given["architecture"]) if "architecture" in given else None,
        force=given.get("force", False),
        progress=context.progress,
    )
    return {"installed": [card.id for card in cards]}


def delete_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """fields: id. {"freed_bytes"}. Raises ModelError."""
    from ..models.store import delete_model

    given = _checked(fields, {"id": str}, {})
    shelf.clear()  # Windows deletes no file that is open
    return {"freed_bytes": delete_model(given["id"])}


def _record(card: ModelCard) -> dict[str, Any]:
    from ..models.store import how_to_get, missing_files

    is_ready = not missing_files(card)
    return {
        "id": card.id,
        "title": card.title,
        "version": card.version,
        "family": card.family,
        "description": card.description,
        "schemes": list(card.schemes),
        "is_base": card.is_base,
        "is_embedded": card.is_embedded,
        "ready": is_ready,
        "how_to_get": "" if is_ready else how_to_get(card),
        "downloadable": card.source is not None and card.source.download_url is not None,
        "size_bytes": card.size_bytes,
        "licence": {
            "name": card.licence.name,
            "url": card.licence.url,
            "noncommercial": card.licence.noncommercial,
            "summary": card.licence.summary,
        },
        "citation": card.citation,
        "expected_seconds": card.expected_seconds,
    }


def _checked(fields: Mapping[str, Any], required: dict[str, type], optional: dict[str, type]) -> dict[str, Any]:
    """The fields that are not null. Raises EngineError for one that is missing, unknown or of a wrong type."""
    given = {name: value for name, value in fields.items() if value is not None}
    known = required | optional
    for name in [*required, *given]:
        if name not in known:
            raise EngineError(f"This job has no field '{name}'. It has: {', '.join(known)}.")
        if name not in given:
            raise EngineError(f"This job needs the field '{name}'.")
        if not isinstance(given[name], known[name]):
            wanted = known[name].__name__
            raise EngineError(f"Field '{name}' is {str(given[name])[:80]!r}; it must be of type {wanted}.")
    return given
