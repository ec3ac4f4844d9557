"""Section Landmarks: choosing a scheme, and reading what its landmarks are."""

from __future__ import annotations

from html import escape
from typing import Any

from ..engine import Signal
from ..errors import SchemeError
from ..scheme import Scheme, list_schemes, load_scheme

_DEFAULT = "head-19"
_SCHEME_ROLE = 0x0100  # Qt::UserRole


class SchemePanel:
    """A tree of schemes by anatomy, a search, and the definitions. Signal: changed(): another scheme was chosen."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._parameters: Any = None
        self.changed = Signal()
        self._schemes = list_schemes()
        ui.schemeSearchBox.textChanged.connect(lambda *_args: self._fill())
        ui.schemeTree.itemSelectionChanged.connect(self._onSelection)

    def setParameters(self, parameters: Any) -> None:
        self._parameters = parameters
        self._leaveUnknown()
        self._fill()

    def reload(self) -> None:
        """List the schemes anew: a model brought one along, or went with it."""
        self._schemes = list_schemes()
        if self._parameters is None:
            return
        wasUnknown = self._leaveUnknown()
        self._fill()
        if wasUnknown:
            self.changed.emit()

    def _leaveUnknown(self) -> bool:
        """Choose a shipped scheme where the chosen one is of a model that is not on this computer."""
        try:
            load_scheme(self._parameters.schemeId)
        except SchemeError:
            self._parameters.schemeId = _DEFAULT
            return True
        return False

    @property
    def scheme(self) -> Scheme:
        return load_scheme(self._parameters.schemeId)

    def choose(self, schemeId: str) -> None:
        """Choose a scheme by its id."""
        self._ui.schemeSearchBox.setText("")
        self._parameters.schemeId = load_scheme(schemeId).id
        self._fill()
        self.changed.emit()

    def shownIds(self) -> list[str]:
        """The schemes that the search leaves."""
        words = self._ui.schemeSearchBox.text.lower().split()
        return [scheme.id for scheme in self._schemes if all(word in _searchText(scheme) for word in words)]

    def _fill(self) -> None:
        import qt

        tree, shown = self._ui.schemeTree, set(self.shownIds())
        wasBlocked = tree.blockSignals(True)
        tree.clear()
        groups: dict[str, Any] = {}
        for scheme in self._schemes:
            if scheme.id not in shown:
                continue
            if scheme.anatomy not in groups:
                groups[scheme.anatomy] = qt.QTreeWidgetItem(tree)
                groups[scheme.anatomy].setText(0, scheme.anatomy[:1].upper() + scheme.anatomy[1:])
                groups[scheme.anatomy].setFlags(qt.Qt.ItemIsEnabled)
            entry = qt.QTreeWidgetItem(groups[scheme.anatomy])
            entry.setText(0, scheme.title)
            entry.setToolTip(0, scheme.description)
            entry.setData(0, _SCHEME_ROLE, scheme.id)
            if self._parameters and scheme.id == self._parameters.schemeId:
                tree.setCurrentItem(entry)
        tree.expandAll()
        if tree.currentItem() is not None:
            tree.scrollToItem(tree.currentItem())
        tree.blockSignals(wasBlocked)
        self._showDefinitions()

    def _onSelection(self) -> None:
        entry = self._ui.schemeTree.currentItem()
        schemeId = entry.data(0, _SCHEME_ROLE) if entry is not None else None
        if schemeId and self._parameters and schemeId != self._parameters.schemeId:
            self._parameters.schemeId = schemeId
            self._showDefinitions()
            self.changed.emit()

    def _showDefinitions(self) -> None:
        if not self._parameters:
            return
        scheme = self.scheme
        parts = [f"<p><b>{escape(scheme.title)}</b>. {escape(scheme.description)}</p>"]
        if scheme.names_note:
            parts.append(f"<p><i>{escape(scheme.names_note)}</i></p>")
        for landmark in scheme.landmarks:
            code = f" ({escape(landmark.code)})" if landmark.code and landmark.code != landmark.name else ""
            parts.append(f"<p><b>{escape(landmark.name)}</b>{code}: {escape(landmark.definition)}</p>")
        parts += [f"<p><small>{escape(source)}</small></p>" for source in scheme.sources]
        self._ui.schemeText.setHtml("".join(parts))


def _searchText(scheme: Scheme) -> str:
    names = " ".join(f"{landmark.name} {landmark.code}" for landmark in scheme.landmarks)
    return f"{scheme.id} {scheme.title} {scheme.anatomy} {scheme.modality} {scheme.description} {names}".lower()
