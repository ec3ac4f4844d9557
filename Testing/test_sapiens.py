"""The Sapiens network: its sizes, its weights by their published names, and its two ways of running."""

from __future__ import annotations

import pytest
import torch

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.device import placed_network
from MedLandmarkLib.models.sapiens import (
    SapiensArchitecture,
    SapiensNetwork,
    fitted_positions,
    infer_architecture,
    network_state,
    sapiens_architecture,
)

A_SMALL_ARCHITECTURE = SapiensArchitecture(
    embed=32, layers=2, heads=4, mlp=48, input_size_wh=(96, 128), head_channels=16, keypoints=5
)


@pytest.fixture
def a_network() -> SapiensNetwork:
    torch.manual_seed(5)
    network = SapiensNetwork(A_SMALL_ARCHITECTURE).eval()
    torch.nn.init.normal_(network.backbone.pos_embed)
    return network.requires_grad_(False)


@pytest.fixture
def a_canvas() -> torch.Tensor:
    return torch.randn(2, 3, 128, 96, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize(("size", "millions"), [("0.3b", 303.1), ("0.6b", 630.7), ("1b", 1134.0), ("2b", 2126.0)])
def test_the_family_has_the_published_numbers_of_parameters(size: str, millions: float) -> None:
    with torch.device("meta"):
        network = SapiensNetwork(sapiens_architecture(size, keypoints=19))
    backbone = sum(p.numel() for name, p in network.backbone.named_parameters() if name != "pos_embed")
    assert backbone / 1e6 == pytest.approx(millions, rel=2e-3)
    assert infer_architecture(network.state_dict()) == network.architecture


def test_the_full_network_maps_its_canvas_to_a_quarter_of_its_size() -> None:
    architecture = sapiens_architecture("0.3b", keypoints=88)
    assert architecture.grid_hw == (64, 48)
    assert architecture.heatmap_size_wh == (192, 256)
    with torch.device("meta"):
        network = SapiensNetwork(architecture)
        heatmaps = network(torch.empty(1, 3, 1024, 768), slice(19, 25))
    assert heatmaps.shape == (1, 6, 256, 192)
    with pytest.raises(ModelError, match="Sizes: "):
        sapiens_architecture("0.5b", keypoints=1)


def test_tensors_bear_the_published_names() -> None:
    with torch.device("meta"):
        names = set(SapiensNetwork(A_SMALL_ARCHITECTURE).state_dict())
    layer = {
        f"backbone.layers.{i}.{part}.{kind}"
        for i in range(2)
        for part in ("ln1", "attn.qkv", "attn.proj", "ln2", "ffn.layers.0.0", "ffn.layers.1")
        for kind in ("weight", "bias")
    }
    assert names == layer | {
        "backbone.pos_embed",
        "backbone.patch_embed.projection.weight",
        "backbone.patch_embed.projection.bias",
        "backbone.ln1.weight",
        "backbone.ln1.bias",
        "head.deconv_layers.0.weight",
        "head.deconv_layers.3.weight",
        "head.conv_layers.0.weight",
        "head.conv_layers.0.bias",
        "head.conv_layers.3.weight",
        "head.conv_layers.3.bias",
        "head.final_layer.weight",
        "head.final_layer.bias",
    }


def test_what_shapes_cannot_tell_is_asked_for(a_network: SapiensNetwork) -> None:
    state = a_network.state_dict()
    with pytest.raises(ModelError, match="--architecture"):
        infer_architecture(state)
    stated = {"heads": 4, "patch_padding": 2, "input_size_wh": [96, 128]}
    assert infer_architecture(state, stated) == A_SMALL_ARCHITECTURE
    bare = {name.removeprefix("backbone."): tensor for name, tensor in state.items()}
    assert infer_architecture(bare, stated) == A_SMALL_ARCHITECTURE


@pytest.mark.parametrize(
    "wrong",
    [
        {"heads": 0},
        {"heads": "4"},
        {"heads": 5},
        {"heads": 4, "patch_padding": -1},
        {"heads": 4, "input_size_wh": [96]},
        {"heads": 4, "input_size_wh": [4, 4]},
    ],
)
def test_an_architecture_that_makes_no_sense_is_refused(a_network: SapiensNetwork, wrong: dict) -> None:
    with pytest.raises(ModelError):
        infer_architecture(a_network.state_dict(), wrong)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("backbone.patch_embed.projection.weight", None, "not the weights of a Sapiens"),
        ("backbone.layers.0.ln1.weight", None, "layers"),
        ("head.conv_layers.3.weight", (9, 9, 1, 1), "does not fit the backbone"),
        ("head.final_layer.weight", (5,), "4 dimensions"),
    ],
)
def test_weights_that_contradict_themselves_are_refused(
    a_network: SapiensNetwork, name: str, shape: tuple[int, ...] | None, message: str
) -> None:
    state = dict(a_network.state_dict())
    if shape is None:
        del state[name]
    else:
        state[name] = torch.zeros(shape)
    with pytest.raises(ModelError, match=message):
        infer_architecture(state, {"heads": 4})


def test_a_network_is_built_around_the_given_tensors_without_copying(a_network: SapiensNetwork) -> None:
    state = a_network.state_dict()
    built = SapiensNetwork.from_state_dict(A_SMALL_ARCHITECTURE, state)
    for name, tensor in built.state_dict().items():
        assert tensor.data_ptr() == state[name].data_ptr()
    assert not built.training
    assert not any(parameter.requires_grad for parameter in built.parameters())


def test_missing_left_over_and_misshapen_tensors_are_named(a_network: SapiensNetwork) -> None:
    state = dict(a_network.state_dict())
    with pytest.raises(ModelError, match=r"missing.*backbone\.ln1\.bias"):
        SapiensNetwork.from_state_dict(
            A_SMALL_ARCHITECTURE, {name: tensor for name, tensor in state.items() if name != "backbone.ln1.bias"}
        )
    with pytest.raises(ModelError, match=r"no place.*cls_token"):
        SapiensNetwork.from_state_dict(A_SMALL_ARCHITECTURE, {**state, "backbone.cls_token": torch.zeros(1)})
    with pytest.raises(ModelError, match=r"ln1.bias.*\(31,\).*\(32,\)"):
        SapiensNetwork.from_state_dict(A_SMALL_ARCHITECTURE, {**state, "backbone.ln1.bias": torch.zeros(31)})


def test_on_the_cpu_without_gradients_the_answer_is_the_same(a_network: SapiensNetwork, a_canvas: torch.Tensor) -> None:
    with torch.enable_grad():  # the plain modules, as for training and on a GPU
        plain = a_network(a_canvas)
    with torch.inference_mode():  # the frugal way
        frugal = a_network(a_canvas)
    assert plain.shape == (2, 5, 32, 24)
    torch.testing.assert_close(frugal, plain, rtol=0, atol=2e-5 * float(plain.abs().max()))


def test_frugal_normalisation_keeps_its_precision_far_from_zero(a_canvas: torch.Tensor) -> None:
    architecture = SapiensArchitecture(16, 1, 2, 16, input_size_wh=(96, 128), head_channels=8, keypoints=2)
    torch.manual_seed(2)
    network = SapiensNetwork(architecture).eval().requires_grad_(False)
    network.head.conv_layers["0"].bias += 300.0  # the mean is hundreds of times the spread
    with torch.inference_mode():
        in_float32 = network(a_canvas[:1])
    with torch.enable_grad():
        expected = network.double()(a_canvas[:1].double())
    assert (in_float32 - expected).abs().max() < 2e-3 * expected.abs().max()


def test_the_frugal_way_leaves_its_input_as_it_was(a_network: SapiensNetwork, a_canvas: torch.Tensor) -> None:
    before = a_canvas.clone()
    with torch.inference_mode():
        first = a_network(a_canvas)
        second = a_network(a_canvas)
    assert torch.equal(a_canvas, before)
    assert torch.equal(first, second)


def test_gradients_reach_every_weight(a_canvas: torch.Tensor) -> None:
    network = SapiensNetwork(A_SMALL_ARCHITECTURE)
    network(a_canvas).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_only_the_asked_channels_are_computed(a_network: SapiensNetwork, a_canvas: torch.Tensor) -> None:
    with torch.inference_mode():
        every, some = a_network(a_canvas), a_network(a_canvas, slice(1, 3))
    assert some.shape == (2, 2, 32, 24)
    torch.testing.assert_close(some, every[:, 1:3], rtol=0, atol=1e-5)


def test_the_pictures_of_a_batch_do_not_touch_each_other(a_network: SapiensNetwork, a_canvas: torch.Tensor) -> None:
    with torch.inference_mode():
        together = a_network(a_canvas)
        for b in range(2):
            torch.testing.assert_close(a_network(a_canvas[b : b + 1])[0], together[b], rtol=0, atol=1e-5)


def test_half_precision_converts_products_only_and_shares_the_rest(a_network: SapiensNetwork) -> None:
    half = placed_network(a_network, torch.device("cpu"), "bf16")
    types = {name: parameter.dtype for name, parameter in half.named_parameters()}
    assert types["backbone.layers.0.attn.qkv.weight"] == torch.bfloat16
    assert types["backbone.layers.0.attn.qkv.bias"] == torch.bfloat16
    assert types["head.deconv_layers.3.weight"] == torch.bfloat16
    for name in ("backbone.pos_embed", "backbone.layers.1.ln2.weight", "head.final_layer.weight"):
        assert types[name] == torch.float32
        assert half.get_parameter(name).data_ptr() == a_network.get_parameter(name).data_ptr()
    assert {parameter.dtype for parameter in a_network.parameters()} == {torch.float32}


def test_bfloat16_agrees_in_both_ways(a_network: SapiensNetwork, a_canvas: torch.Tensor) -> None:
    half = placed_network(a_network, torch.device("cpu"), "bf16")
    with torch.inference_mode():
        exact, frugal = a_network(a_canvas), half(a_canvas)
    with torch.enable_grad():
        plain = half(a_canvas)
    assert frugal.dtype == plain.dtype == torch.float32
    for heatmaps in (frugal, plain):
        assert 0 < (heatmaps - exact).abs().mean() < 0.05 * exact.std()


def test_positions_of_the_same_grid_stay_and_a_class_token_is_dropped() -> None:
    positions = torch.randn(1, 16, 3)
    assert torch.equal(fitted_positions(positions, (4, 4)), positions)
    with_class_token = torch.cat((torch.full((1, 1, 3), 9.0), positions), dim=1)
    assert torch.equal(fitted_positions(with_class_token, (4, 4)), positions)


def test_positions_are_squeezed_not_cropped() -> None:
    column = torch.arange(16.0).expand(16, 16).reshape(1, 256, 1)  # each position holds its column
    fitted = fitted_positions(column, (16, 8)).view(16, 8)
    # halved with align_corners False: a column lies midway between two of the old ones
    torch.testing.assert_close(fitted[:, 2:6], (2.0 * torch.arange(2.0, 6.0) + 0.5).expand(16, 4), rtol=0, atol=1e-4)


def test_positions_that_fill_no_square_are_refused() -> None:
    with pytest.raises(ModelError, match="no square"):
        fitted_positions(torch.zeros(1, 15, 3), (4, 4))


def test_a_checkpoint_becomes_the_networks_state(a_network: SapiensNetwork, a_canvas: torch.Tensor) -> None:
    state = dict(a_network.state_dict())
    square = torch.randn(1, 1 + 64, 32)
    checkpoint = {name.removeprefix("backbone."): tensor for name, tensor in state.items()}
    checkpoint |= {"pos_embed": square, "cls_token": torch.zeros(1, 1, 32)}
    fitted = network_state(A_SMALL_ARCHITECTURE, checkpoint)
    assert fitted.keys() == state.keys()
    assert torch.equal(fitted["backbone.pos_embed"], fitted_positions(square, (8, 6)))
    assert fitted["head.final_layer.weight"] is state["head.final_layer.weight"]
    SapiensNetwork.from_state_dict(A_SMALL_ARCHITECTURE, fitted)
