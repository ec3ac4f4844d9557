"""Section Results: files of the result under review."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..errors import MedLandmarkError
from .detection_logic import headerOf
from .explained import Explained
from .review_panel import ReviewPanel


class ResultPanel:
    """Writes CSV, JSON, Slicer markups and a report into a folder, and shows the table of measurements."""

    def __init__(self, ui: Any, scene: Any, reviewPanel: ReviewPanel, showTable: Any) -> None:
        self._ui, self._scene, self._reviewPanel, self._showTable = ui, scene, reviewPanel, showTable
        self._export, self._table = Explained(ui.exportButton), Explained(ui.tableButton)
        ui.exportButton.clicked.connect(lambda *_args: self.export())
        ui.tableButton.clicked.connect(lambda *_args: self._showTable(self._reviewPanel.review.table.node))
        ui.exportFolderEdit.currentPathChanged.connect(lambda *_args: self.update())
        reviewPanel.opened.connect(self.update)

    def update(self) -> None:
        noResult = "" if self._reviewPanel.review else _("There is no result yet.")
        self._table.allow(noResult)
        self._export.allow(noResult or ("" if self._ui.exportFolderEdit.currentPath else _("Choose a folder first.")))

    def export(self) -> list[Path]:
        """Write all files of the result; their paths, or none where it failed, and the panel says why."""
        from ..mrml import ClipReview
        from .clip_files import writeClip
        from .result_files import writeResult

        folder = Path(self._ui.exportFolderEdit.currentPath).expanduser()
        try:
            review = self._reviewPanel.review
            paths = (writeClip if isinstance(review, ClipReview) else writeResult)(review, folder, headerOf)
        except (MedLandmarkError, OSError) as error:
            self._ui.exportLabel.setText(_("Nothing was written: {reason}").format(reason=error))
            return []
        self._ui.exportLabel.setText(
            _("Written to {folder}: {names}").format(folder=folder, names=", ".join(path.name for path in paths))
        )
        return paths


def fileStem(name: str) -> str:
    """A node's name as the beginning of a file name."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "landmarks"
