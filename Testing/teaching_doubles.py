"""Stand-ins for the teaching itself, so that its doors are tested in seconds: steps that report, a model folder."""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from MedLandmarkLib.errors import DetectionCancelled, ImageError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models.catalogue import SchemeChannels, catalogue
from MedLandmarkLib.models.catalogue import Weights as CardWeights
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.tensors import write_tensors
from MedLandmarkLib.oneshot.request import SetAside, TeachProgress, TeachRequest, TeachResult

PHASES = ("instant", "specialists", "fusion")
STEPS = 12


def write_model(
    folder: Path, model_id: str, scheme_id: str, count: int, canvas_wh: tuple[int, int] = (97, 129)
) -> Path:
    """A model folder with random weights of the small network, as a teaching leaves it but for the scheme."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    (folder / "model.safetensors").unlink(missing_ok=True)
    sha256 = write_tensors(folder / "model.safetensors", LiteNetwork(count, width=16).state_dict(), {})
    embedded = catalogue()["lite"]
    heatmap_wh = tuple((side - 1) // 4 + 1 for side in canvas_wh)
    card = replace(
        embedded,
        id=model_id,
        title=model_id,
        version="1",
        family="lite",
        description=f"Landmarks of {scheme_id}.",
        architecture={"keypoints": count, "width": 16},
        input=replace(embedded.input, size_wh=canvas_wh, heatmap_size_wh=heatmap_wh),
        schemes={scheme_id: SchemeChannels(0, count)},
        confidence=None,
        accuracy=(),
        training=None,
        weights=CardWeights("model.safetensors", sha256, (folder / "model.safetensors").stat().st_size),
    )
    (folder / "card.json").write_text(json.dumps(card.to_json()), encoding="utf-8")
    return folder


class TeachDouble:
    """Takes what `teach` takes and gives what it gives; opens every unannotated image, and keeps the last request."""

    def __init__(self, seconds_a_step: float = 0.0) -> None:
        self.request: TeachRequest | None = None
        self.folder: Path | None = None
        self.device = ""
        self.seconds_a_step = seconds_a_step
        self.opened: list[Path] = []

    def __call__(
        self,
        request: TeachRequest,
        folder: Path,
        *,
        device: str = "auto",
        progress: Callable[[TeachProgress], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> TeachResult:
        self.request, self.folder, self.device = request, folder, device
        templates = {template.image_path.resolve() for template in request.templates}
        set_aside = []
        for path in request.image_paths:
            if path.resolve() not in templates:
                try:
                    self.opened.append(path)
                    read_image(path)
                except ImageError as error:
                    set_aside.append(SetAside(path, str(error).removeprefix(f"{path}: ")))
        for step in range(STEPS):
            if should_stop is not None and should_stop():
                if step < STEPS // 2:
                    raise DetectionCancelled("stopped before there was a model")
                return self._result(request, folder, tuple(set_aside), is_complete=False)
            if progress is not None:
                phase = PHASES[step * len(PHASES) // STEPS]
                estimate = None if step < STEPS // 3 else 4.0 - 0.25 * step
                progress(TeachProgress(step / STEPS, f"step {step + 1} of {STEPS}", phase, estimate, "px"))
            time.sleep(self.seconds_a_step)
        return self._result(request, folder, tuple(set_aside), is_complete=True)

    def _result(
        self, request: TeachRequest, folder: Path, set_aside: tuple[SetAside, ...], is_complete: bool
    ) -> TeachResult:
        model = write_model(folder / "model", request.model_id, request.scheme.id, len(request.scheme))
        return TeachResult(model, set_aside, 1.25, "px", is_complete)


@dataclass(frozen=True)
class Proposal:
    path: Path
    typicality: float
    reason: str


class Proposals(list):
    """Best first; what could not be read is in `set_aside`."""

    set_aside: tuple[SetAside, ...] = ()


def propose_double(
    image_paths: Sequence[Path], *, count: int = 1, progress: Any = None, should_stop: Any = None
) -> Any:
    """The images with the longest names first."""
    found, broken = [], []
    for number, path in enumerate(image_paths):
        if progress is not None:
            progress(number / len(image_paths), f"{number + 1} of {len(image_paths)}")
        try:
            read_image(path)
            found.append(path)
        except ImageError as error:
            broken.append(SetAside(path, str(error).removeprefix(f"{path}: ")))
    found.sort(key=lambda path: (-len(path.name), path.name))
    proposals = Proposals(Proposal(path, 1 / (n + 1), "nearest to all others") for n, path in enumerate(found[:count]))
    proposals.set_aside = tuple(broken)
    return proposals


def put_in_place(teach: TeachDouble, set_module: Callable[[dict, str, Any], None] = dict.__setitem__) -> None:
    """Let the doors find the doubles where the teaching is."""
    for name, function in (("teaching", teach), ("choice", propose_double)):
        module = types.ModuleType(f"MedLandmarkLib.oneshot.{name}")
        setattr(module, {"teaching": "teach", "choice": "propose_template"}[name], function)
        set_module(sys.modules, module.__name__, module)
