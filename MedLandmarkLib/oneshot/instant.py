"""The first model and the first labels: the templates' landmarks found again by matching, without any training."""

from __future__ import annotations

import numpy as np
import torch

from ..detection.canvas import CanvasGeometry
from ..errors import DetectionCancelled
from ..image import read_image
from ..models.lite import LiteNetwork
from ..models.matching import MatchingNetwork
from ..models.tensors import TensorFile, write_tensors
from ..training.backbones import MEAN, STD
from ..training.files import replacing
from ..training.initial_weights import load_imagenet_trunk
from .gallery import Gallery, canvas_geometry, closer_canvas, laid_picture
from .labels import PseudoLabels
from .phases import PhaseContext
from .request import INSTANT, SetAside
from .views import normalised

_SIGMA = 2.0
_MATCHES = "matches.safetensors"
_MOST_TEMPLATES = 3  # in the instant model: each more takes its time with every picture
_LEAST_AGREEMENT = 0.5  # share of the points that follow one similarity, below which a picture is of another kind
_UNUSUAL = 6.0  # robust standard deviations below the usual agreement


def write_instant_model(context: PhaseContext) -> MatchingNetwork:
    """The model that needs no training: the templates and the frozen trunk. Raises ModelError where that is missing."""
    gallery = context.gallery
    network = matching_network(gallery)
    context.write_model(
        network, INSTANT, keypoints=gallery.landmark_count, canvas_wh=list(network.canvas_wh),
        templates=len(network.pictures), sigma=_SIGMA, overview_wh=list(network.overview_wh),
        local_contrast=network.local_contrast,
    )  # fmt: skip
    return network


def matched_gallery(context: PhaseContext, network: MatchingNetwork) -> tuple[Gallery, PseudoLabels]:
    """The gallery without pictures of another kind, and its first labels. Raises DetectionCancelled."""
    gallery = context.gallery
    if len(gallery) == gallery.template_count:
        shape = (0, gallery.landmark_count)
        nothing = torch.zeros(*shape, 2), torch.zeros(shape)
        return gallery, PseudoLabels.from_matching(gallery.template_xy, *nothing, context.diagonal)
    points, back, agreement = _kept(context) or _matched(context, network.to(context.device))
    kept, aside = _told_apart(gallery, agreement)
    gallery = gallery.without(aside)
    points, back = points[kept], back[kept]
    labels = PseudoLabels.from_matching(gallery.template_xy, points, back, context.diagonal)
    context.teller.estimated(torch.cat((torch.zeros(gallery.template_count, points.shape[1]), back)), gallery)
    return gallery, labels


def _matched(context: PhaseContext, network: MatchingNetwork) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of the n unannotated pictures: (n, K, 2) canvas px, (n, K) px return distances and (n,) agreements."""
    gallery, progress = context.gallery, context.teller.part(INSTANT)
    found, returned, agreements = [], [], []
    for number in range(gallery.template_count, len(gallery)):
        if context.should_stop and context.should_stop():
            raise DetectionCancelled("Stopped while the pictures were matched; the instant model is ready.")
        progress(len(found) / (len(gallery) - gallery.template_count), f"Matching {gallery.paths[number].name}")
        picture, places = _closer(gallery, number, network.canvas_wh)
        match = network.match(normalised(picture[None].float().to(context.device))[0])
        found.append(_on_canvas(match.canvas_xy.cpu(), *places) if places else match.canvas_xy.cpu())
        returned.append(match.return_px.cpu() * (_px_ratio(*places) if places else 1.0))
        agreements.append(match.similarity.agreement)
    points, back, agreement = torch.stack(found), torch.stack(returned), torch.tensor(agreements)
    with replacing(context.folder / _MATCHES) as partial:
        write_tensors(partial, {"canvas_xy": points, "return_px": back, "agreement": agreement})
    return points, back, agreement


def _kept(context: PhaseContext) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """What an earlier sitting matched; None where it was not finished, or where there are other pictures now."""
    path, gallery = context.folder / _MATCHES, context.gallery
    if not path.is_file():
        return None
    tensors = TensorFile(path).mapped()
    count = len(gallery) - gallery.template_count
    if tensors["canvas_xy"].shape[:2] != (count, gallery.landmark_count):
        return None
    return tuple(tensors[name].clone() for name in ("canvas_xy", "return_px", "agreement"))


def matching_network(gallery: Gallery) -> MatchingNetwork:
    """Over the first templates, with the frozen ImageNet trunk. Raises ModelError where that is not installed."""
    count = min(gallery.template_count, _MOST_TEMPLATES)
    size = read_image(gallery.paths[0]).size[:2]
    canvas_wh = closer_canvas(size, gallery.canvas_wh)
    network = MatchingNetwork(gallery.landmark_count, canvas_wh, count, _SIGMA, gallery.canvas_wh, local_contrast=True)
    trunk = LiteNetwork(1)
    load_imagenet_trunk(trunk)
    network.trunk = trunk.trunk
    for number in range(count):
        picture, places = _closer(gallery, number, canvas_wh)
        points_xy = gallery.template_xy[number]
        network.pictures[number] = picture.expand(3, -1, -1)
        network.points_xy[number] = _on_canvas(points_xy, *places[::-1]) if places else points_xy
    network.mean[:], network.std[:] = torch.tensor(MEAN), torch.tensor(STD)
    return network.requires_grad_(False).eval()


def _closer(
    gallery: Gallery, number: int, canvas_wh: tuple[int, int]
) -> tuple[torch.Tensor, tuple[CanvasGeometry, CanvasGeometry] | None]:
    """A picture uint8 (1 or 3, H, W) on the canvas of the matching; how it lies there, and how in the gallery.

    None instead of the latter where the gallery has that canvas.
    """
    if canvas_wh == gallery.canvas_wh:
        return gallery.pictures[number], None
    image = read_image(gallery.paths[number])
    geometry, usual = (canvas_geometry(image, wh) for wh in (canvas_wh, gallery.canvas_wh))
    return laid_picture(image, geometry), (geometry, usual)


def _on_canvas(canvas_xy: torch.Tensor, one: CanvasGeometry, other: CanvasGeometry) -> torch.Tensor:
    """Points (K, 2) of a picture on one canvas as they lie on the other."""
    over_heatmap = (np.array(one.canvas_wh) - 1.0) / (np.array(one.heatmap_wh) - 1.0)
    picture_xy = one.picture_from_heatmap(canvas_xy.double().numpy() / over_heatmap)
    return torch.from_numpy(other.canvas_from_picture(picture_xy)).float()


def _px_ratio(one: CanvasGeometry, other: CanvasGeometry) -> float:
    """px of the other canvas for each px of the one."""
    return one.picture_px_per_heatmap_px / other.picture_px_per_heatmap_px  # both have one for every fourth px


def _told_apart(gallery: Gallery, agreement: torch.Tensor) -> tuple[torch.Tensor, list[SetAside]]:
    """Which of the unannotated pictures are like a template, (n,) bool, and the others with the reason."""
    usual = agreement.median()
    deviation = 1.4826 * (agreement - usual).abs().median()
    limit = torch.maximum(torch.tensor(_LEAST_AGREEMENT), usual - _UNUSUAL * deviation.clamp_min(0.03))
    kept = agreement >= torch.minimum(limit, usual)
    aside = [
        SetAside(path, f"unlike the annotated image: {100 * float(share):.0f} % of its points can be found again "
                       f"(usual here: {100 * float(usual):.0f} %)")
        for path, share, is_kept in zip(gallery.paths[gallery.template_count :], agreement, kept, strict=True)
        if not is_kept
    ]  # fmt: skip
    return kept, aside
