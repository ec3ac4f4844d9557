"""Low-rank adapters merged into the weights they adapt."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.lora import adapter_targets, merge_lora


@pytest.fixture
def a_base() -> dict[str, torch.Tensor]:
    torch.manual_seed(8)
    return {
        "layers.0.attn.qkv.weight": torch.randn(12, 4),
        "layers.0.attn.qkv.bias": torch.randn(12),
        "layers.0.attn.proj.weight": torch.randn(4, 4),
    }


@pytest.fixture
def an_adapter() -> dict[str, torch.Tensor]:
    torch.manual_seed(9)
    return {
        "backbone.module.layers.0.attn.qkv.lora_down.weight": torch.randn(2, 4),
        "backbone.module.layers.0.attn.qkv.lora_up.weight": torch.randn(12, 2),
        "head.final_layer.bias": torch.randn(3),
    }


@pytest.mark.parametrize("scaling", [1.0, 0.5])
@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_merged_layer_answers_as_layer_and_adapter_together(
    a_base: dict, an_adapter: dict, scaling: float, prefix: str
) -> None:
    x = torch.randn(7, 4)
    weight, bias = a_base["layers.0.attn.qkv.weight"].clone(), a_base["layers.0.attn.qkv.bias"]
    down, up = (an_adapter[f"backbone.module.layers.0.attn.qkv.lora_{kind}.weight"] for kind in ("down", "up"))
    expected = F.linear(x, weight, bias) + scaling * F.linear(F.linear(x, down), up)
    merged = merge_lora({prefix + name: tensor for name, tensor in a_base.items()}, an_adapter, scaling)
    answer = F.linear(x, merged["backbone.layers.0.attn.qkv.weight"], merged["backbone.layers.0.attn.qkv.bias"])
    torch.testing.assert_close(answer, expected)
    assert torch.equal(a_base["layers.0.attn.qkv.weight"], weight)
    assert merged["backbone.layers.0.attn.proj.weight"] is a_base["layers.0.attn.proj.weight"]
    assert merged["head.final_layer.bias"] is an_adapter["head.final_layer.bias"]
    assert set(merged) == {f"backbone.{name}" for name in a_base} | {"head.final_layer.bias"}


def test_merging_in_place_writes_into_the_base(a_base: dict, an_adapter: dict) -> None:
    expected = merge_lora(a_base, an_adapter)["backbone.layers.0.attn.qkv.weight"]
    merged = merge_lora(a_base, an_adapter, in_place=True)["backbone.layers.0.attn.qkv.weight"]
    assert merged is a_base["layers.0.attn.qkv.weight"]
    torch.testing.assert_close(merged, expected)
    assert adapter_targets(an_adapter) == ("layers.0.attn.qkv.weight",)


def test_weights_saved_inside_their_wrapper_are_found(a_base: dict, an_adapter: dict) -> None:
    wrapped = {
        "backbone.module.layers.0.attn.qkv.original_layer.weight": a_base["layers.0.attn.qkv.weight"],
        "backbone.module.layers.0.attn.qkv.original_layer.bias": a_base["layers.0.attn.qkv.bias"],
        "backbone.module.layers.0.attn.proj.weight": a_base["layers.0.attn.proj.weight"],
    }
    expected = merge_lora(a_base, an_adapter)
    merged = merge_lora(wrapped, an_adapter)
    assert merged.keys() == expected.keys()
    assert all(torch.equal(merged[name], expected[name]) for name in expected)


@pytest.mark.parametrize("lost", ["down", "up"])
def test_half_an_adapter_is_refused(a_base: dict, an_adapter: dict, lost: str) -> None:
    del an_adapter[f"backbone.module.layers.0.attn.qkv.lora_{lost}.weight"]
    with pytest.raises(ModelError, match="incomplete"):
        merge_lora(a_base, an_adapter)


def test_an_adapter_of_another_base_is_refused(a_base: dict, an_adapter: dict) -> None:
    with pytest.raises(ModelError, match="another base"):
        merge_lora({**a_base, "layers.0.attn.qkv.weight": torch.zeros(24, 8)}, an_adapter)
    with pytest.raises(ModelError, match="does not have"):
        merge_lora({"layers.0.attn.proj.weight": torch.zeros(4, 4)}, an_adapter)
