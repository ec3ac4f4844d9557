"""Pictures in, heatmap peaks out: the one place where a network is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from ..errors import ImageError, ModelError
from ..models.catalogue import InputGeometry, View
from ..models.device import (
    PRECISIONS,
    choose_device,
    choose_precision,
    default_batch_size,
    exact_float32,
    is_out_of_memory,
    placed_network,
    release_memory,
)
from .canvas import CanvasGeometry, warp_opencv_bilinear, warp_smoothed
from .device_warp import warp_on_device
from .ends import Pair, separated_ends
from .heatmap import decode_heatmaps
from .peak_shape import peak_spread, second_peak_ratio
from .picture_peaks import PicturePeaks
from .pooled_features import pooled_features
from .views import averaged_views, view_geometry
from .watch import Watch

__all__ = ["Detector", "PicturePeaks"]

Progress = Callable[[float, str], None]


class Detector:
    """A network made ready on a device for the channels of one scheme.

    network: (B, 3, H, W) normalised canvas, channels → (B, K, h, w) heatmaps; it is not changed.
    card_input: how pictures become its canvas. flip: average with the mirrored pass (twice the time); channels keep
    their places, as the reference's identity flip indices have it. views: further looks at each picture, whose heatmaps
    are averaged with those of the whole (as many times the time). ends: pairs of channels, as numbers among them, that
    only their place in the picture tells apart.
    device, precision: as asked for; the attributes hold what is in use, and `notes` says where that differs.
    Raises ModelError for a device that is not there.
    """

    def __init__(
        self,
        network: nn.Module,
        card_input: InputGeometry,
        channels: slice | None = None,
        *,
        device: str | torch.device = "auto",
        precision: str = "fp32",
        flip: bool = True,
        views: Sequence[View] = (),
        ends: Sequence[Pair] = (),
    ) -> None:
        if card_input.resampling not in ("opencv-bilinear", "area"):
            raise ModelError(f"The model's resampling is '{card_input.resampling}', not 'opencv-bilinear' or 'area'.")
        self.input = card_input
        self.channels = channels or slice(None)
        self.flip = flip
        self.views, self.ends = tuple(views), tuple(ends)
        self.notes: list[str] = []
        self._source = network
        self._most_per_batch: int | None = None  # what was seen to fit on the device
        device = choose_device(device)
        precision, note = choose_precision(precision, device)
        self._note(note)
        try:
            self._place(device, precision)
        except (RuntimeError, MemoryError) as error:
            if device.type == "cpu" or not is_out_of_memory(error):
                raise
            self._move_to_cpu(device)

    def detect(
        self,
        pictures: Sequence[np.ndarray],
        *,
        batch_size: int | None = None,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> list[PicturePeaks]:
        """The peaks in each picture.

        pictures: uint8 (rows, columns, 3), RGB, of any sizes. batch_size: pictures that go through the network
        together (default: by device); fewer where the device's memory does not hold them.
        progress gets a fraction 0..1 and a text; should_stop is asked before each step of the network.
        Raises ImageError for a picture that is none, DetectionCancelled, and ModelError where the network answers with
        maps of a wrong size or with no numbers.
        """
        for number, picture in enumerate(pictures):
            _require_picture(picture, number)
        results: list[PicturePeaks] = []
        while len(results) < len(pictures):
            count = min(batch_size or default_batch_size(self.device), self._most_per_batch or len(pictures))
            batch = pictures[len(results) : len(results) + max(1, count)]
            passes = (1 + self.flip) * (1 + len(self.views))
            watch = Watch(len(results), len(batch), len(pictures), passes, progress, should_stop)
            peaks = self._peaks_or_retreat(batch, watch)
            results += peaks or []
        if progress:
            progress(1.0, "done")
        return results

    def _peaks_or_retreat(self, pictures: Sequence[np.ndarray], watch: Watch) -> list[PicturePeaks] | None:
        """The peaks; or None after a change (fewer at a time, the CPU, float32) with which to try again."""
        peaks = None
        try:
            peaks = self._peaks(pictures, watch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if peaks is None:  # only here: the exception held what fills the memory
            self._retreat(len(pictures))
            return None
        if all(np.isfinite(peak.score).all() for peak in peaks):
            return peaks
        if self.precision == "fp32":
            raise ModelError("The network answered with values that are no numbers: its weights are damaged.")
        self._note(f"{self.precision} overflowed in this network; fp32 was used.")
        self._place(self.device, "fp32")
        return None

    def _retreat(self, count: int) -> None:
        """After memory ran out with `count` pictures at a time."""
        release_memory(self.device)
        if count > 1:
            self._most_per_batch = count // 2
            self._note(f"Memory of {self.device} ran out; pictures were detected {count // 2} at a time.")
        elif self.device.type != "cpu":
            self._move_to_cpu(self.device)
        else:
            raise ModelError(
                "This computer's memory is too small for the network. Close programs, or use a smaller model."
            )

    def _move_to_cpu(self, device: torch.device) -> None:
        self.network = None  # before the move, so that the GPU's memory is free at once
        release_memory(device)
        cpu = torch.device("cpu")
        precision, note = choose_precision(getattr(self, "precision", "fp32"), cpu)
        self._note(f"Memory of {device} does not hold this network with one picture; the CPU was used.")
        self._note(note)
        self._most_per_batch = None
        self._place(cpu, precision)

    def _place(self, device: torch.device, precision: str) -> None:
        self.device, self.precision = device, precision
        self.network = placed_network(self._source, device, precision)

    def _note(self, note: str | None) -> None:
        if note and note not in self.notes:
            self.notes.append(note)

    @torch.inference_mode()
    def _peaks(self, pictures: Sequence[np.ndarray], watch: Watch) -> list[PicturePeaks]:
        geometries = [self._geometry(picture) for picture in pictures]
        with pooled_features(self.network) as features:
            heatmaps, disagreement = self._look(pictures, geometries, watch, passes_done=0)
        if self.views:
            looks, placed = [heatmaps], [geometries]
            for number, view in enumerate(self.views, start=1):
                placed.append([view_geometry(geometry, view) for geometry in geometries])
                looks.append(self._look(pictures, placed[-1], watch, passes_done=number * (1 + self.flip))[0])
            heatmaps = averaged_views(looks, placed)
        reach = 3.0 * self.input.sigma
        heatmaps = separated_ends(heatmaps, self.ends, reach)
        peaks = decode_heatmaps(heatmaps, self.input.blur_kernel)
        second = second_peak_ratio(heatmaps, peaks.argmax_xy, peaks.score, reach)
        spread = peak_spread(heatmaps, peaks.argmax_xy, peaks.score)
        fields = (peaks.score, peaks.heatmap_xy, peaks.argmax_xy, second, spread)
        score, heatmap_xy, argmax_xy, second, spread = (field.cpu().numpy() for field in fields)
        return [
            PicturePeaks(
                picture_xy=geometry.picture_from_heatmap(heatmap_xy[b].astype(np.float64)),
                score=score[b],
                heatmap_xy=heatmap_xy[b],
                argmax_xy=argmax_xy[b],
                second_peak_ratio=second[b],
                spread_px=spread[b],
                flip_disagreement_px=None if disagreement is None else disagreement[b],
                geometry=geometry,
                features=features[0][b].cpu().numpy() if features else None,
            )
            for b, geometry in enumerate(geometries)
        ]

    def _look(
        self, pictures: Sequence[np.ndarray], geometries: Sequence[CanvasGeometry], watch: Watch, passes_done: int
    ) -> tuple[torch.Tensor, np.ndarray | None]:
        """(B, K, h, w) heatmaps, and (B, K) how far the peaks of the mirrored pass lie from them."""
        canvases = self._canvases(pictures, geometries)
        heatmaps = self._heatmaps(canvases, watch, passes_done)
        if not self.flip:
            return heatmaps, None
        mirrored = self._heatmaps(canvases.flip(3), watch, passes_done + 1).flip(3)
        disagreement = self._disagreement(heatmaps, mirrored)
        return heatmaps.add_(mirrored).mul_(0.5), disagreement

    def _geometry(self, picture: np.ndarray) -> CanvasGeometry:
        rows, columns = picture.shape[:2]
        return CanvasGeometry((columns, rows), self.input.size_wh, self.input.heatmap_size_wh, self.input.padding)

    def _canvases(self, pictures: Sequence[np.ndarray], geometries: Sequence[CanvasGeometry]) -> torch.Tensor:
        """(B, 3, H, W) float32 on the device, normalised."""
        pairs = list(zip(pictures, geometries, strict=True))
        if self.device.type == "cuda":
            with exact_float32(self.device):
                on_device = torch.stack([warp_on_device(*pair, self.input.resampling, self.device) for pair in pairs])
        else:
            warp = warp_smoothed if self.input.resampling == "area" else warp_opencv_bilinear
            canvases = torch.from_numpy(np.stack([warp(*pair) for pair in pairs]))
            on_device = canvases.to(self.device).permute(0, 3, 1, 2).float()
        mean = torch.tensor(self.input.mean, device=self.device)[:, None, None]
        std = torch.tensor(self.input.std, device=self.device)[:, None, None]
        return ((on_device - mean) / std).contiguous()

    def _heatmaps(self, canvases: torch.Tensor, watch: Watch, passes_done: int) -> torch.Tensor:
        """(B, K, h, w) float32."""
        # a network that keeps parts in float32 converts by itself
        takes = torch.float32 if hasattr(self.network, "float32_modules") else PRECISIONS[self.precision]
        with exact_float32(self.device), watch.of(self.network, passes_done):
            heatmaps = self.network(canvases.to(takes), self.channels).float()
        width, height = self.input.heatmap_size_wh
        if heatmaps.shape[2:] != (height, width):
            raise ModelError(
                f"The network's heatmaps are {heatmaps.shape[3]} × {heatmaps.shape[2]} px, but its card says "
                f"{width} × {height}: the card does not belong to these weights."
            )
        return heatmaps

    def _disagreement(self, heatmaps: torch.Tensor, mirrored: torch.Tensor) -> np.ndarray:
        """(B, K): distance between the peaks of the two passes, heatmap px."""
        one, other = (decode_heatmaps(maps, self.input.blur_kernel) for maps in (heatmaps, mirrored))
        distance = torch.linalg.vector_norm(one.heatmap_xy - other.heatmap_xy, dim=-1)
        return torch.where((one.score > 0) & (other.score > 0), distance, torch.inf).cpu().numpy()


def _require_picture(picture: np.ndarray, number: int) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ImageError(
            f"Picture {number} is {picture.dtype} of shape {picture.shape}; it must be uint8 (rows, columns, 3)."
        )
    if picture.size == 0 or max(picture.shape[:2]) < 2:
        raise ImageError(f"Picture {number} has {picture.shape[1]} × {picture.shape[0]} px: too few to hold landmarks.")
