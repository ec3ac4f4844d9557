"""The model cards that ship: valid, complete, and in agreement with the schemes."""

from __future__ import annotations

import json

import jsonschema
import pytest

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.catalogue import card_from_json, catalogue, catalogue_card, read_card
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import load_scheme

RELEASED = [
    "medsapiens",
    "medsapiens-head",
    "medsapiens-hand",
    "medsapiens-chest",
    "medsapiens-leg",
    "geosapiens-teeth",
]


@pytest.fixture(scope="module")
def the_schema() -> dict:
    return json.loads(resource_path("Model-schema.json").read_text(encoding="utf-8"))


@pytest.fixture
def a_card_as_json() -> dict:
    return json.loads(json.dumps(catalogue()["medsapiens"].to_json()))


def _card_validator(schema: dict) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema["$defs"]["card"], "$defs": schema["$defs"]})


def test_the_catalogue_obeys_its_schema(the_schema: dict) -> None:
    jsonschema.Draft202012Validator.check_schema(the_schema)
    models = json.loads(resource_path("Models.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(the_schema).validate(models)


def test_every_card_is_still_valid_after_a_round_trip(the_schema: dict) -> None:
    for card in catalogue().values():
        as_json = json.loads(json.dumps(card.to_json()))
        _card_validator(the_schema).validate(as_json)
        assert card_from_json(as_json, "test") == card


def test_the_schema_refuses_an_unknown_field(the_schema: dict, a_card_as_json: dict) -> None:
    a_card_as_json["licens"] = "typo"
    with pytest.raises(jsonschema.ValidationError, match="licens"):
        _card_validator(the_schema).validate(a_card_as_json)


def test_the_released_models_and_their_base_are_there() -> None:
    assert {"sapiens-0.3b", *RELEASED} <= set(catalogue())
    assert catalogue()["sapiens-0.3b"].is_base
    assert all(catalogue()[model].base == "sapiens-0.3b" for model in RELEASED)


@pytest.mark.parametrize(
    ("scheme", "first", "last"), [("head-19", 0, 18), ("chest-6", 19, 24), ("hand-37", 25, 61), ("leg-26", 62, 87)]
)
def test_the_universal_model_keeps_the_published_channel_layout(scheme: str, first: int, last: int) -> None:
    channels = catalogue()["medsapiens"].channels(scheme)
    assert (channels.first, channels.stop - 1) == (first, last)


def test_every_scheme_of_every_card_has_as_many_landmarks_as_channels() -> None:
    for card in catalogue().values():
        for scheme, channels in card.schemes.items():
            assert len(load_scheme(scheme).landmarks) == channels.count, f"{card.id}, {scheme}"


@pytest.mark.parametrize("model", RELEASED)
def test_the_input_is_that_of_the_reference(model: str) -> None:
    geometry = catalogue()[model].input
    assert geometry.size_wh == (768, 1024)
    assert geometry.heatmap_size_wh == (192, 256)
    assert (geometry.padding, geometry.sigma, geometry.blur_kernel) == (1.25, 3.0, 11)
    assert geometry.mean == (123.675, 116.28, 103.53)
    assert geometry.std == (58.395, 57.12, 57.375)
    assert catalogue()[model].flip_test


@pytest.mark.parametrize("model", ["sapiens-0.3b", *RELEASED])
def test_a_non_commercial_licence_says_so_and_is_there_in_full(model: str) -> None:
    licence = catalogue()[model].licence
    text = licence.full_text()
    assert licence.noncommercial
    assert "non-commercial" in text.lower()
    assert "Section 8 – Interpretation." in text
    assert "You may satisfy the conditions in Section 3(a)(1) in any reasonable manner" in " ".join(text.split())
    assert licence.url in text
    assert "Section 8" not in licence.full_text(with_legal_text=False)


@pytest.mark.parametrize("model", ["sapiens-0.3b", *RELEASED])
def test_a_card_to_download_says_where_from_and_how_to_cite(model: str) -> None:
    card = catalogue()[model]
    assert card.source is not None
    assert card.source.page_url.startswith("https://")
    assert card.source.download_url.startswith("https://")
    assert "arXiv" in card.citation
    assert card.sha256 is None, "nothing is installed, so there is nothing to hash"


def test_what_nobody_published_is_not_invented() -> None:
    card = catalogue()["geosapiens-teeth"]
    assert card.size_bytes is None
    assert card.source.sha256 is None
    assert card.accuracy == ()


def test_a_model_refuses_a_scheme_that_it_was_not_made_for() -> None:
    with pytest.raises(ModelError, match=r"medsapiens-hand.*head-19.*hand-37"):
        catalogue()["medsapiens-hand"].channels("head-19")
    with pytest.raises(ModelError, match="base"):
        catalogue()["sapiens-0.3b"].channels("head-19")


def test_an_unknown_id_has_no_card() -> None:
    assert catalogue_card("nothing-of-the-kind") is None


@pytest.mark.parametrize("field", ["id", "input", "schemes", "licence"])
def test_a_card_without_a_field_is_refused_with_its_name(a_card_as_json: dict, field: str) -> None:
    del a_card_as_json[field]
    with pytest.raises(ModelError, match=rf"here: .*{field}"):
        card_from_json(a_card_as_json, "here")


@pytest.mark.parametrize("wrong", [[], "text", None, 3])
def test_a_card_that_is_no_object_is_refused(wrong: object) -> None:
    with pytest.raises(ModelError, match="JSON object"):
        card_from_json(wrong, "here")


def test_channels_that_hold_nothing_are_refused(a_card_as_json: dict) -> None:
    a_card_as_json["schemes"]["head-19"] = {"first": 5, "stop": 5}
    with pytest.raises(ModelError, match="head-19"):
        card_from_json(a_card_as_json, "here")


def test_a_damaged_card_file_is_named(tmp_path) -> None:
    path = tmp_path / "card.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"card\.json"):
        read_card(path)


def test_the_embedded_models_lie_beside_their_weights(the_schema: dict) -> None:
    for path in resource_path("Models").glob("*/card.json"):
        _card_validator(the_schema).validate(json.loads(path.read_text(encoding="utf-8")))
        card = catalogue()[path.parent.name]
        assert card.is_embedded
        assert (path.parent / card.weights.file).is_file()
