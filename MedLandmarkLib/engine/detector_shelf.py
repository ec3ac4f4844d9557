"""Detectors that stay loaded between jobs."""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..detection import LandmarkDetector
    from ..detection.atlas import AtlasDetector

# The largest model takes 8 GB; two small ones let a user go back and forth between schemes.
_MOST_KEPT = 2


class DetectorShelf:
    """The last few detectors, so that a second image with the same settings needs no loading.

    A model that was replaced or a scheme file that was edited since is loaded anew.
    """

    def __init__(self, most_kept: int = _MOST_KEPT) -> None:
        self._most_kept = most_kept
        self._kept: OrderedDict[Hashable, LandmarkDetector | AtlasDetector] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(
        self, scheme: str, model: str, device: str, precision: str, flip: bool | None, loading: Callable[[], None]
    ) -> LandmarkDetector | AtlasDetector:
        """The detector for these settings; `loading` is called first where it is not here yet.

        Raises SchemeError, ModelError, and ImportError without torch.
        """
        if "torch" not in sys.modules:
            loading()
        from ..detection import open_detector  # before all else: without torch nothing else matters
        from ..models.store import require_installed

        card = require_installed(model)
        key = (model, card.sha256, scheme, _scheme_time(scheme), device, precision, flip)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        loading()
        while len(self._kept) >= self._most_kept:  # before the new one needs the memory
            self._kept.popitem(last=False)
        self._kept[key] = open_detector(scheme, model, device=device, precision=precision, flip=flip)
        return self._kept[key]

    def drop_if_moved(self, detector: LandmarkDetector | AtlasDetector, device: str) -> None:
        """Forget a detector that had to leave the device asked for, so that the next job tries that device again."""
        from ..detection.atlas import AtlasDetector
        from ..models.device import choose_device

        if isinstance(detector, AtlasDetector):
            return  # it computes on the CPU, whatever was asked for
        if detector.detector.device.type != choose_device(device).type:
            self._kept = OrderedDict((key, kept) for key, kept in self._kept.items() if kept is not detector)

    def clear(self) -> None:
        """Let go of all of them, and of the memory that torch keeps for them."""
        self._kept.clear()
        gc.collect()
        torch = sys.modules.get("torch")  # not imported for this alone
        if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def _scheme_time(scheme: str) -> int | None:
    """When the user's own scheme file was last written; None for a shipped scheme."""
    path = Path(scheme).expanduser()
    return path.stat().st_mtime_ns if path.is_file() else None
