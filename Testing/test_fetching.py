"""`models download` from a server on this computer: licences, hashes of first use, bases."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bad_server import Behaviour, serving

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models import catalogue as catalogue_module
from MedLandmarkLib.models import fetching, folder, inventory, store
from MedLandmarkLib.models.catalogue import catalogue


@pytest.fixture
def a_server() -> Iterator[tuple[str, Behaviour]]:
    with serving() as address_and_behaviour:
        yield address_and_behaviour


@pytest.fixture
def a_released_base(
    a_server: tuple[str, Behaviour], the_golden_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Behaviour:
    """The catalogue with the small reference base, served by the server on this computer, as sapiens-0.3b."""
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    url, behaviour = a_server
    behaviour.content = (the_golden_folder / "weights" / "sapiens_tiny_epoch_1600_clean.pth").read_bytes()
    card = catalogue()["sapiens-0.3b"]
    small = {**card.architecture, "embed": 64, "layers": 3, "heads": 4, "mlp": 256}
    served = replace(card, source=replace(card.source, download_url=url), architecture=small)
    cards = {**catalogue(), "sapiens-0.3b": served}
    for module in (catalogue_module, inventory, folder):
        monkeypatch.setattr(module, "catalogue", lambda: cards)
    monkeypatch.setattr("MedLandmarkLib.models.importing.catalogue", lambda: cards)
    monkeypatch.setattr("MedLandmarkLib.models.cards.catalogue", lambda: cards)
    monkeypatch.setattr("MedLandmarkLib.models.sapiens_architecture._HEADS_OF_EMBED", {64: 4})
    return behaviour


def test_a_non_commercial_model_is_not_fetched_without_acceptance(a_released_base: Behaviour, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"CC|Creative.*--accept-license"):
        store.download_model("sapiens-0.3b")
    assert a_released_base.ranges == []
    assert not (tmp_path / "home").exists()


def test_a_download_is_installed_and_its_hash_recorded(a_released_base: Behaviour) -> None:
    (card,) = store.download_model("sapiens-0.3b", accept_license=True)
    assert card.weights.imported_sha256 == hashlib.sha256(a_released_base.content).hexdigest()
    assert store.cards_to_fetch("sapiens-0.3b") == []
    assert store.download_model("sapiens-0.3b", accept_license=True) == []
    recorded = json.loads((store.models_folder() / "hashes.json").read_text(encoding="utf-8"))
    assert list(recorded.values()) == [card.weights.imported_sha256]
    assert list((store.models_folder() / "downloads").iterdir()) == []


def test_another_file_at_the_same_address_is_refused_until_accepted(
    a_released_base: Behaviour, the_golden_folder: Path
) -> None:
    store.download_model("sapiens-0.3b", accept_license=True)
    store.delete_model("sapiens-0.3b")
    other = the_golden_folder / "weights" / "sapiens_tiny_epoch_1600_clean_evenpos.pth"
    a_released_base.content, a_released_base.etag = other.read_bytes(), '"v2"'
    with pytest.raises(ModelError, match=r"was expected.*first download.*--accept-changed"):
        store.download_model("sapiens-0.3b", accept_license=True)
    assert store.cards_to_fetch("sapiens-0.3b")
    (card,) = store.download_model("sapiens-0.3b", accept_license=True, accept_changed=True)
    assert card.weights.imported_sha256 == hashlib.sha256(a_released_base.content).hexdigest()


def test_a_damaged_download_is_not_installed_and_its_hash_not_recorded(a_released_base: Behaviour) -> None:
    a_released_base.content = a_released_base.content[:-500]
    with pytest.raises(ModelError, match=r"sapiens_0\.3b_epoch_1600_clean\.pth"):
        store.download_model("sapiens-0.3b", accept_license=True)
    assert not (store.models_folder() / "hashes.json").exists()
    assert store.cards_to_fetch("sapiens-0.3b")


def test_a_model_that_lost_its_base_file_is_fetched_again(a_released_base: Behaviour) -> None:
    (card,) = store.download_model("sapiens-0.3b", accept_license=True)
    folder.base_path(card.sha256).unlink()
    (again,) = store.download_model("sapiens-0.3b", accept_license=True)
    assert again.sha256 == card.sha256
    assert store.verify_model("sapiens-0.3b")[0].is_right


def test_a_model_that_no_program_can_fetch_says_what_to_do(
    a_released_base: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = catalogue()["geosapiens-teeth"]
    by_hand = replace(card, base=None, source=replace(card.source, download_url=None))
    monkeypatch.setattr(fetching, "cards_to_fetch", lambda _: [by_hand])
    with pytest.raises(ModelError, match=r"drive\.google\.com.*models import FILE --id geosapiens-teeth"):
        store.download_model("geosapiens-teeth", accept_license=True)


def test_the_base_comes_first_with_the_model_that_needs_it(a_released_base: Behaviour) -> None:
    assert [card.id for card in store.cards_to_fetch("medsapiens-head")] == ["sapiens-0.3b", "medsapiens-head"]
    store.download_model("sapiens-0.3b", accept_license=True)
    assert [card.id for card in store.cards_to_fetch("medsapiens-head")] == ["medsapiens-head"]
