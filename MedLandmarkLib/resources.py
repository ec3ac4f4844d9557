"""Where the data files of the library are: schemes, model cards, JSON schemas, the embedded weights."""

from __future__ import annotations

from pathlib import Path


def resource_path(*parts: str) -> Path:
    """The path of a file below Resources/, in the source tree, in an installed wheel or in an installed extension.

    Raises FileNotFoundError when no Resources folder is found: the installation is incomplete then.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "Resources", package.parent / "Resources"):
        if (root / "Schemes").is_dir():
            return root.joinpath(*parts)
    raise FileNotFoundError(f"No Resources folder beside {package}: reinstall MedLandmark.")
