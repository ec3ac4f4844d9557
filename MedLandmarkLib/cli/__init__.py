"""The `medlandmark` command. It needs the extra `cli`; nothing else in the library does."""

from __future__ import annotations

import sys

_EXTRA = ("typer", "rich")


def main() -> None:
    """Runs the command with the arguments of the process."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a letter that the terminal does not know is no reason to fail
    try:
        _application()(prog_name="medlandmark")
    except KeyboardInterrupt:  # while libraries were being loaded; commands handle their own
        sys.exit(130)


def _application() -> object:
    try:
        from .application import app
    except ModuleNotFoundError as error:
        if error.name in _EXTRA:
            sys.exit(f"medlandmark: {error.name} is not installed. The command needs: pip install 'MedLandmark[cli]'")
        raise
    return app


def __getattr__(name: str) -> object:
    """`app`, the typer application, is made when it is asked for: importing this package stays light."""
    if name == "app":
        return _application()
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
