"""Widgets that say why they are disabled."""

from __future__ import annotations

from typing import Any


class Explained:
    """A widget whose tooltip tells what it does and, while it is disabled, why."""

    def __init__(self, *widgets: Any) -> None:
        self._widgets = [(widget, widget.toolTip) for widget in widgets]

    def allow(self, reason: str = "") -> None:
        """Enable the widgets, or disable them for `reason`."""
        for widget, toolTip in self._widgets:
            widget.setEnabled(not reason)
            widget.setToolTip(f"{toolTip}\n\n{reason}" if reason else toolTip)
