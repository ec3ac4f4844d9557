"""Where the library's data files are (schemes, model cards, JSON schemas, the embedded weights), and the user's own."""

from __future__ import annotations

import os
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


def user_folder() -> Path:
    """The folder of what the user has: models and runs; not made here. $MEDLANDMARK_HOME goes before the system's own.

    Raises ImportError where the system's own is to be asked for and platformdirs is not installed.
    """
    home = os.environ.get("MEDLANDMARK_HOME")
    if home:
        return Path(home).expanduser()
    from platformdirs import user_data_dir

    return Path(user_data_dir("MedLandmark", appauthor=False))
