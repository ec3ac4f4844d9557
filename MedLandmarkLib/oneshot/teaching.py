"""A whole teaching: from annotated and unannotated pictures to a model, by way of four methods that build on another.

instant → joint → specialists → fusion. After each a usable model stands in the run's folder, so that a teaching that
is stopped leaves the best so far; called again with the same folder it goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from ..errors import DetectionCancelled
from ..models.device import choose_device
from ..training.memory import keep_freed_memory
from .fusion import FusionPhase
from .gallery import Gallery, read_gallery
from .instant import matched_gallery, write_instant_model
from .joint import JointPhase
from .phases import Phase, PhaseContext
from .request import FUSION, INSTANT, JOINT, SPECIALISTS, Progress, TeachProgress, TeachRequest, TeachResult
from .specialists import SpecialistsPhase

# shares of the whole that each part takes, about
_PARTS = {"reading": 0.03, INSTANT: 0.12, JOINT: 0.35, SPECIALISTS: 0.35, FUSION: 0.15}
_CHAIN = {
    INSTANT: (),
    JOINT: (JointPhase,),
    SPECIALISTS: (JointPhase, SpecialistsPhase),
    FUSION: (JointPhase, SpecialistsPhase, FusionPhase),
}


def teach(
    request: TeachRequest,
    folder: Path,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TeachResult:
    """Teach a model; it stands in `folder`/model.

    Raises DatasetError where the annotated images cannot be used, ModelError without the frozen trunk or with a full
    disk, and DetectionCancelled where it is stopped before a first model stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keep_freed_memory()
    teller = _Teller(request.settings.method, progress)
    gallery = read_gallery(
        request.templates, request.image_paths, request.settings.canvas_wh,
        progress=teller.part("reading"), should_stop=should_stop,
    )  # fmt: skip
    teller.unit = gallery.unit
    chosen = choose_device(device)
    context = PhaseContext(request, gallery, folder, chosen, teller, should_stop)
    matcher = write_instant_model(context)
    is_complete, network = True, None
    try:
        gallery, labels = matched_gallery(context, matcher)
        context = replace(context, gallery=gallery)
        for make in _CHAIN[request.settings.method]:
            phase: Phase = make(context, labels, network)
            labels, network = phase.run()
    except DetectionCancelled:
        is_complete = False
    return TeachResult(folder / "model", gallery.set_aside, teller.estimate, gallery.unit, is_complete)


class _Teller:
    """Turns the parts' own fractions into those of the whole, and keeps the last estimate."""

    def __init__(self, method: str, progress: Progress | None) -> None:
        parts = ["reading", INSTANT, JOINT, SPECIALISTS, FUSION]
        self.parts = parts[: parts.index(method) + 1]
        self.total = sum(_PARTS[part] for part in self.parts)
        self.progress, self.estimate, self.unit = progress, None, "px"
        self.furthest = 0.0

    def part(self, name: str) -> Callable[[float, str], None]:
        """A progress function of one part."""
        start = sum(_PARTS[part] for part in self.parts[: self.parts.index(name)])

        def report(fraction: float, text: str) -> None:
            self.furthest = max(self.furthest, min(1.0, (start + _PARTS[name] * fraction) / self.total))
            if self.progress:
                self.progress(TeachProgress(self.furthest, text, name, self.estimate, self.unit))

        return report

    def estimated(self, spread_px: torch.Tensor, gallery: Gallery) -> None:
        """Take (N, K) px, how far the answers lie apart, as the present estimate; nothing where there is none."""
        spread = (spread_px * gallery.unit_per_px[:, None])[gallery.template_count :]
        known = spread[spread.isfinite()]
        if known.numel():
            self.estimate = float(known.median())
