"""Where schemes are found: those that ship, those beside the user's installed models, and files of the user's own."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import SchemeError
from ..resources import resource_path, user_folder
from .definitions import Scheme, suggestion
from .reading import scheme_from_json

# A scheme of a thousand landmarks is about 300 kB; a file far beyond that is not a scheme.
LARGEST_FILE_BYTES = 10_000_000


INSTALLED = "models"  # the folder of installed models in the user's folder
SCHEME_NAME = "scheme.json"  # in a model's folder: the scheme of landmarks that the user thought of


def load_scheme(id_or_path: str | os.PathLike[str]) -> Scheme:
    """A scheme by its id or by the path of a JSON file of the same format.

    Known by id are those that ship ("head-19") and those that came with an installed model. What ends in .json or holds
    a folder separator is taken as a path. Raises SchemeError, which names the nearest id, or the file, the field and
    the value that are wrong.
    """
    text = os.fspath(id_or_path)
    if isinstance(id_or_path, os.PathLike) or text.lower().endswith(".json") or "/" in text or os.sep in text:
        return _read(Path(text).expanduser())
    if text in scheme_ids():
        return _shipped(text)
    own = {scheme.id: scheme for scheme in own_schemes()}
    if text in own:
        return own[text]
    guess = suggestion(text, (*scheme_ids(), *own)) or "."
    raise SchemeError(
        f"There is no scheme '{text}'{guess} Shipped schemes: {', '.join(scheme_ids())}. "
        + (f"Of installed models: {', '.join(own)}. " if own else "")
        + "A scheme of your own is given by the path of its .json file."
    )


def list_schemes() -> list[Scheme]:
    """All schemes that ship with the library, by id, then those of installed models."""
    return [_shipped(scheme_id) for scheme_id in scheme_ids()] + own_schemes()


def own_schemes() -> list[Scheme]:
    """The schemes that came with installed models, by id, each once; none by the id of a shipped one.

    A file that cannot be read is passed over: its model says so when it is used.
    """
    try:
        files = sorted(user_folder().glob(f"{INSTALLED}/*/{SCHEME_NAME}"))
    except ImportError:  # a Python that cannot name the user's folder has installed nothing there
        return []
    found: dict[str, Scheme] = {}
    for path in files:
        try:
            scheme = _own(path, path.stat().st_mtime_ns)
        except (SchemeError, OSError):
            continue
        if scheme.id not in scheme_ids():
            found.setdefault(scheme.id, scheme)
    return [found[scheme_id] for scheme_id in sorted(found)]


@lru_cache(maxsize=1)
def scheme_ids() -> tuple[str, ...]:
    """The ids of the shipped schemes, sorted."""
    return tuple(sorted(path.stem for path in resource_path("Schemes").glob("*.json")))


@lru_cache(maxsize=64)
def _shipped(scheme_id: str) -> Scheme:
    scheme = _read(resource_path("Schemes", f"{scheme_id}.json"))
    if scheme.id != scheme_id:
        raise SchemeError(f"{scheme.path}: id is '{scheme.id}', but the file is named for '{scheme_id}'.")
    return scheme


@lru_cache(maxsize=256)
def _own(path: Path, _written_ns: int) -> Scheme:
    """The scheme of an installed model, read again only where its file was written again."""
    return _read(path)


def _read(path: Path) -> Scheme:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise SchemeError(f"{path}: {path.stat().st_size:,} bytes are too many for a landmark scheme.")
        content = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise SchemeError(f"{path}: there is no such scheme file.") from None
    except OSError as error:
        raise SchemeError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise SchemeError(f"{path}: is not UTF-8 text, so it is not a scheme file.") from None
    except json.JSONDecodeError as error:
        raise SchemeError(
            f"{path}: is not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except (RecursionError, ValueError) as error:
        raise SchemeError(f"{path}: is not a scheme file ({error}).") from None
    return scheme_from_json(content, path)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON knows")
