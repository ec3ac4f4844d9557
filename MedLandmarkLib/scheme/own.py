"""The scheme of landmarks that a user thought of: their names are all that is known of them."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import SchemeError
from .definitions import Scheme
from .reading import SCHEMA_VERSION, scheme_from_json

DEFINITION = "As annotated in the template."
# Powers of two: nobody has published how well these landmarks are to be found.
_RADII_PX = (2, 4, 8, 16)
_TOLERANCE_PX = 4
_LONGEST_NAME = 200


def own_scheme(names: Sequence[str], scheme_id: str, title: str = "") -> tuple[Scheme, dict[str, Any]]:
    """A scheme of landmarks with these names in this order, and its JSON (Resources/Scheme-schema.json).

    It claims nothing that the user did not say: each landmark is where the template has it, there are no measurements,
    and the radii of success are plain numbers of pixels. Raises SchemeError for names or an id that cannot be.
    """
    scheme_id = scheme_id_from(scheme_id)
    for name in names:
        if not name.strip() or name != name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            raise SchemeError(
                f"'{name[:40]}' cannot be a landmark's name: use 1 to {_LONGEST_NAME} printable characters, without "
                "blanks at the ends."
            )
    content = {
        "schema_version": SCHEMA_VERSION,
        "id": scheme_id,
        "version": "1",
        "title": title or f"Own landmarks: {scheme_id}",
        "anatomy": "own landmarks",
        "modality": "as taught",
        "description": f"{len(names)} landmarks that a user named in an annotated image.",
        "names": {"kind": "published", "note": "The names are those that the user gave to the points of the template."},
        "landmarks": [{"name": name, "definition": DEFINITION} for name in names],
        "measurements": [],
        "evaluation": {
            "radii": list(_RADII_PX),
            "unit": "px",
            "tolerance": _TOLERANCE_PX,
            "reason": "No source says how closely these landmarks must be found; the radii are round numbers.",
        },
        "sources": ["The user's own annotation."],
    }
    return scheme_from_json(content, Path(f"{scheme_id}.json")), content


def scheme_id_from(text: str) -> str:
    """The nearest id of a scheme to any text: small letters, digits, '-' and '.'. Raises SchemeError where none is."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    scheme_id = re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")
    if not scheme_id:
        raise SchemeError(f"'{text}' holds no letter or digit for a scheme's id; give an id such as 'my-points'.")
    return scheme_id


def write_scheme(content: dict[str, Any], path: Path) -> Scheme:
    """Write the JSON of a scheme, complete or not at all, and read it back. Raises SchemeError, OSError."""
    scheme = scheme_from_json(content, path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return scheme
