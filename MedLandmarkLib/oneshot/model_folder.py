"""The folder a teaching leaves: a network of any of its methods, and a card that says everything prediction needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from ..models.catalogue import InputGeometry, Licence, ModelCard, SchemeChannels
from ..models.folder import CARD_NAME, checked_id
from ..models.lite import heatmap_side
from ..models.own_scheme import keep_scheme
from ..training.backbones import MEAN, STD
from ..training.files import replacing, write_weights
from .gallery import PADDING, Gallery
from .request import INSTANT, JOINT, TeachRequest

_BLUR_KERNEL = 11  # heatmap px, as trained models have it
_LICENCE = Licence(
    name="That of whoever owns the images",
    spdx="NOASSERTION",
    url="https://www.apache.org/licenses/LICENSE-2.0",
    noncommercial=False,
    summary="Taught from images of your own: whom you may give this model depends on the terms of those images. It "
    "began with EfficientNet-Lite0 weights under the Apache License 2.0.",
)


def write_taught_model(
    folder: Path,
    network: nn.Module,
    method: str,
    architecture: dict[str, Any],
    request: TeachRequest,
    gallery: Gallery,
    told: str,
) -> Path:
    """Write model.safetensors, card.json and, where it is the user's own, scheme.json into `folder`; whole files only.

    told: a sentence on how far the teaching came. Raises ModelError where the disk is full.
    """
    weights = write_weights(folder, network.state_dict())
    keep_scheme(folder, request.scheme)
    canvas_wh = tuple(architecture.get("canvas_wh", gallery.canvas_wh))  # matching looks closer than networks do
    others = len(gallery) - gallery.template_count
    annotated = "1 annotated image" if gallery.template_count == 1 else f"{gallery.template_count} annotated images"
    card = ModelCard(
        id=checked_id(request.model_id),
        title=f"{request.model_id} ({len(request.taught)} landmarks, taught)",
        version="1",
        family={INSTANT: "matching", JOINT: "lite"}.get(method, method),
        description=f"Landmarks of {request.scheme.id}, taught from {annotated} and {others} others ({method}).",
        architecture=architecture,
        input=InputGeometry(
            size_wh=canvas_wh,
            padding=PADDING,
            mean=tuple(MEAN),
            std=tuple(STD),
            resampling="area",
            heatmap_size_wh=tuple(heatmap_side(side) for side in canvas_wh),
            sigma=architecture["sigma"],
            blur_kernel=_BLUR_KERNEL,
        ),
        schemes={request.scheme.id: SchemeChannels(0, len(request.scheme), canvas_wh)},
        flip_test=False,
        base=None,
        licence=_LICENCE,
        citation="",
        training={
            "data": [f"{annotated}: " + ", ".join(template.image_path.name for template in request.templates)],
            "recipe": f"{method}, effort {request.settings.effort:g}, seed {request.settings.seed}. {told}",
        },
        confidence=None,
        weights=weights,
    )
    with replacing(folder / CARD_NAME) as partial:
        partial.write_text(json.dumps(card.to_json(), indent=1), encoding="utf-8")
    return folder
