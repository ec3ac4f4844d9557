"""How a status is written and coloured in tables; the one place with colours of its own.

The colours stay apart for readers with red-green weakness (Okabe and Ito, 2008), and each goes with a word.
"""

from __future__ import annotations

from functools import cache

from slicer.i18n import tr as _

from ..landmark import Status

COLOURS = {
    Status.PREDICTED: (86, 180, 233),
    Status.ACCEPTED: (0, 158, 115),
    Status.EDITED: (204, 121, 167),
    Status.DOUBTFUL: (230, 159, 0),
    Status.MISSING: (128, 128, 128),
    Status.UNDEFINED: (128, 128, 128),
}


def statusText(status: Status) -> str:
    """The status in the user's language."""
    return {
        Status.PREDICTED: _("predicted"),
        Status.ACCEPTED: _("accepted"),
        Status.EDITED: _("edited"),
        Status.DOUBTFUL: _("doubtful"),
        Status.MISSING: _("missing"),
        Status.UNDEFINED: _("not placed"),
    }[status]


@cache  # a dozen rows ask for one with each move of a drag
def statusIcon(status: Status) -> object:
    """A small disc in the colour of the status; a ring where the landmark has no place."""
    import qt

    pixmap = qt.QPixmap(12, 12)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing, True)
    colour = qt.QColor(*COLOURS[status])
    painter.setPen(qt.QPen(colour))
    if status.is_usable:
        painter.setBrush(qt.QBrush(colour))
    painter.drawEllipse(1, 1, 10, 10)
    painter.end()
    return qt.QIcon(pixmap)
