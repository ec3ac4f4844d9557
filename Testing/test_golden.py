"""The whole way from a picture to its points, against vectors of the reference implementation.

The tolerances are those of Testing/Data/golden/README.md. Each network sees each picture once: what it answered is
kept, and every test reads it from there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from MedLandmarkLib.detection.detector import Detector, PicturePeaks
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models.catalogue import InputGeometry, catalogue
from MedLandmarkLib.models.checkpoint import read_tensors
from MedLandmarkLib.models.lora import merge_lora
from MedLandmarkLib.models.sapiens import SapiensNetwork, infer_architecture, network_state

DEAD_CHANNEL = 60  # of the universal model, on purpose
IMAGES = (
    "portrait_color8", "landscape_grey8", "square_grey8", "tall_grey8", "wide_color16", "small_color8", "large_grey8",
    "odd_grey16", "alpha_color8",
)  # fmt: skip
MODELS = {
    "universal": ("sapiens_tiny_epoch_1600_clean.pth", "best_EPE_epoch_199.pth"),
    "universal_evenpos": ("sapiens_tiny_epoch_1600_clean_evenpos.pth", "best_EPE_epoch_199.pth"),
    "head": ("sapiens_tiny_epoch_1600_clean.pth", "head/best_EPE_epoch_200.pth"),
}
CASES = [
    *((model, image) for model in ("universal", "head") for image in IMAGES),
    ("universal_evenpos", "portrait_color8"),
    ("universal_evenpos", "landscape_grey8"),
]
FOLDER = Path(__file__).parent / "Data" / "golden"


class Recorder(nn.Module):
    """Runs a network and keeps what it was given and what it answered."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.canvases: list[torch.Tensor] = []
        self.heatmaps: list[torch.Tensor] = []

    def forward(self, canvas: torch.Tensor, channels: slice) -> torch.Tensor:
        heatmaps = self.network(canvas, channels)
        self.canvases.append(canvas.clone())
        self.heatmaps.append(heatmaps.clone())
        return heatmaps


class Replay(nn.Module):
    """Answers with given heatmaps."""

    def __init__(self, heatmaps: torch.Tensor) -> None:
        super().__init__()
        self.heatmaps = heatmaps

    def forward(self, canvas: torch.Tensor, channels: slice) -> torch.Tensor:
        return self.heatmaps[:, channels].clone()


@dataclass(frozen=True)
class Answer:
    """canvas: (3, H, W); heatmaps: (K, h, w) by "flip" and "noflip"; peaks: likewise."""

    canvas: torch.Tensor
    heatmaps: dict[str, torch.Tensor]
    peaks: dict[str, PicturePeaks]


@cache
def golden_network(model: str) -> SapiensNetwork:
    base, adapter = (read_tensors(FOLDER / "weights" / name) for name in MODELS[model])
    state = merge_lora(base, adapter)
    architecture = infer_architecture(state, {"heads": 4, "patch_padding": 2, "input_size_wh": [768, 1024]})
    return SapiensNetwork.from_state_dict(architecture, network_state(architecture, state))


def golden_input() -> InputGeometry:
    """That of the real model, from its card."""
    return catalogue()["medsapiens"].input


@cache
def golden_picture(image: str) -> np.ndarray:
    return read_image(FOLDER / "images" / f"{image}.png").display_rgb()


@cache
def answer_of(model: str, image: str) -> Answer:
    recorder = Recorder(golden_network(model))
    detector = Detector(recorder, golden_input(), device="cpu", flip=True)
    (flipped,) = detector.detect([golden_picture(image)])
    inner = detector.network
    plain, mirrored = inner.heatmaps
    (unflipped,) = Detector(Replay(plain), golden_input(), device="cpu", flip=False).detect([golden_picture(image)])
    heatmaps = {"noflip": plain[0], "flip": (0.5 * (plain + mirrored.flip(3)))[0]}
    return Answer(inner.canvases[0][0], heatmaps, {"flip": flipped, "noflip": unflipped})


@cache
def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / "cases" / f"{name}.npz") as case:
        return {key: case[key] for key in case}


@pytest.mark.parametrize("image", IMAGES)
def test_the_network_sees_what_the_reference_sees(image: str) -> None:
    canvas = answer_of("universal", image).canvas
    (case,) = (
        case
        for case in json.loads((FOLDER / "cases" / "universal.json").read_text(encoding="utf-8"))
        if case["image"] == f"{image}.png"
    )
    expected = golden(f"universal__{image}")["input_rgb_f32_s16"]
    np.testing.assert_allclose(canvas[:, ::16, ::16].numpy(), expected, rtol=1e-6, atol=1e-6)
    assert float(canvas.double().abs().sum()) == pytest.approx(case["input_stats"]["sum_abs"], rel=1e-6)


@pytest.mark.parametrize("mode", ["flip", "noflip"])
@pytest.mark.parametrize(("model", "image"), CASES)
def test_heatmaps_are_the_references(model: str, image: str, mode: str) -> None:
    expected = golden(f"{model}__{image}")
    heatmaps = answer_of(model, image).heatmaps[mode]
    assert heatmaps.shape == (expected[f"keypoints_{mode}"].shape[0], 256, 192)
    np.testing.assert_allclose(heatmaps[:, 8::16, 8::16].numpy(), expected[f"heatmap_{mode}_s16"], rtol=0, atol=5e-5)
    flat = heatmaps.flatten(1).double()
    stats = torch.stack((flat.amax(1), flat.amin(1), flat.mean(1), flat.std(1, correction=0)), dim=1)
    np.testing.assert_allclose(stats.numpy(), expected[f"hm_stats_{mode}"], rtol=0, atol=5e-5)


@pytest.mark.parametrize("mode", ["flip", "noflip"])
@pytest.mark.parametrize(("model", "image"), CASES)
def test_points_and_scores_are_the_references(model: str, image: str, mode: str) -> None:
    expected = golden(f"{model}__{image}")
    peaks = answer_of(model, image).peaks[mode]
    np.testing.assert_allclose(peaks.score, expected[f"scores_{mode}"], rtol=0, atol=5e-5)
    keypoints = expected[f"keypoints_{mode}"]
    error = np.linalg.norm(peaks.picture_xy - keypoints, axis=1)
    noise = np.linalg.norm(keypoints - expected[f"kp_f64net_{mode}"], axis=1)
    counts = (expected[f"peak_gap_{mode}"] >= 1e-4) & (expected[f"scores_{mode}"] > 0)
    assert counts.sum() >= 0.9 * len(counts)
    assert np.median(error[counts]) < 1e-3
    worst = (error - np.maximum(0.02, 10 * noise))[counts].max()
    assert worst < 0, f"a channel is {worst:.4f} px over its tolerance"
    np.testing.assert_array_equal(peaks.argmax_xy[counts], expected[f"argmax_xy_{mode}"][counts])


def test_the_dead_channel_is_said_to_have_no_peak() -> None:
    peaks = answer_of("universal", "portrait_color8").peaks["flip"]
    assert golden("universal__portrait_color8")["scores_flip"][DEAD_CHANNEL] < 0
    assert peaks.score[DEAD_CHANNEL] < 0
    np.testing.assert_array_equal(peaks.heatmap_xy[DEAD_CHANNEL], [-1, -1])
    place = peaks.geometry.picture_from_heatmap(np.array([-1.0, -1.0]))
    np.testing.assert_array_equal(peaks.picture_xy[DEAD_CHANNEL], place)
    assert np.isfinite(peaks.picture_xy).all()
    assert peaks.flip_disagreement_px is not None
    assert np.isinf(peaks.flip_disagreement_px[DEAD_CHANNEL])


def test_a_schemes_channels_alone_give_the_same_points() -> None:
    chest = Detector(golden_network("universal"), golden_input(), slice(19, 25), device="cpu", flip=False)
    (peaks,) = chest.detect([golden_picture("square_grey8")])
    every = answer_of("universal", "square_grey8").peaks["noflip"]
    assert peaks.picture_xy.shape == (6, 2)
    np.testing.assert_allclose(peaks.picture_xy, every.picture_xy[19:25], atol=1e-2)


def test_bfloat16_stays_within_a_quarter_of_a_pixel_on_the_median() -> None:
    images = ("portrait_color8", "square_grey8", "small_color8")
    detector = Detector(golden_network("universal"), golden_input(), device="cpu", precision="bf16", flip=True)
    errors = []
    for image, peaks in zip(images, detector.detect([golden_picture(image) for image in images]), strict=True):
        error = np.linalg.norm(peaks.picture_xy - golden(f"universal__{image}")["keypoints_flip"], axis=1)
        errors.append(np.delete(error, DEAD_CHANNEL))
    assert (detector.precision, detector.notes) == ("bf16", [])
    assert 1e-4 < np.median(np.concatenate(errors)) < 0.25


def test_every_stage_of_the_network_is_the_references() -> None:
    expected = golden("intermediates_portrait_color8")
    network = golden_network("universal")
    backbone, head = network.backbone, network.head
    seen: dict[str, torch.Tensor] = {"pos_embed_in_use": backbone.pos_embed[0]}

    def keep(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        return module.register_forward_hook(lambda _, __, out: seen.__setitem__(name, out.detach()[0].clone()))

    hooks = [
        keep("patch_embed", backbone.patch_embed),
        keep("layer0_qkv_out", backbone.layers[0].attn.qkv),
        keep("layer0_attn_out", backbone.layers[0].attn),
        keep("layer0_after_ffn", backbone.layers[0]),
        *(keep(f"layer{i}_out", backbone.layers[i]) for i in range(3)),
        keep("final_norm", backbone.ln1),
        keep("deconv0_raw", head.deconv_layers["0"]),
        keep("deconv1_raw", head.deconv_layers["3"]),
        keep("conv1_raw", head.conv_layers["3"]),
    ]
    with torch.enable_grad():  # the plain modules; the heatmaps above came the frugal way
        network(answer_of("universal", "portrait_color8").canvas[None])
    for hook in hooks:
        hook.remove()

    def active(maps: torch.Tensor) -> torch.Tensor:
        return F.silu(F.instance_norm(maps[None], eps=1e-5))[0]

    for name, tokens in seen.items():
        if not name.endswith("_raw"):
            key = "patch_embed_tokens_s24" if name == "patch_embed" else f"{name}_s24"
            key = key if key in expected else f"{name}_tokens_s24"
            np.testing.assert_allclose(tokens[::24].numpy(), expected[key], rtol=0, atol=2e-5, err_msg=name)
    maps = {
        "deconv0_raw_s8": seen["deconv0_raw"][:, ::8, ::8],
        "deconv_out_s16": active(seen["deconv1_raw"])[:, ::16, ::16],
        "conv_out_s16": active(seen["conv1_raw"])[:, ::16, ::16],
    }
    for name, sampled in maps.items():
        np.testing.assert_allclose(sampled, expected[name], rtol=0, atol=5e-5, err_msg=name)


@pytest.mark.parametrize(
    "changed", [{"padding": 1.2}, {"mean": (103.53, 116.28, 123.675)}, {"resampling": "area"}, {"blur_kernel": 17}]
)
def test_another_preparation_would_be_noticed(changed: dict) -> None:
    """The tolerances are tight enough to tell the reference's preparation from others that look as good."""
    image = "small_color8" if "mean" in changed else "large_grey8"
    wrong_input = replace(golden_input(), **changed)
    network: nn.Module = golden_network("head")
    if "blur_kernel" in changed:
        network = Replay(answer_of("head", image).heatmaps["noflip"][None])
    (peaks,) = Detector(network, wrong_input, device="cpu", flip=False).detect([golden_picture(image)])
    error = np.linalg.norm(peaks.picture_xy - golden(f"head__{image}")["keypoints_noflip"], axis=1)
    assert np.median(error) > 1e-3
