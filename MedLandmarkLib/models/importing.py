"""Installing models from files that the user already has: the released zip, checkpoints, a base, safetensors.

Everything is read, recognised and checked first and converted in a staging folder; only then is it moved into place,
so that a wrong file leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .cards import DEFAULT_BASE, card_for_base, card_for_model, default_id, schemes_for
from .catalogue import ModelCard, catalogue
from .catalogue import Weights as StoredWeights
from .folder import (
    CARD_NAME,
    WEIGHTS_NAME,
    Progress,
    base_path,
    checked_id,
    installed_card,
    model_folder,
    models_folder,
    require_space,
    staging_folder,
    write_json,
)
from .given import Given, given_base, given_files
from .recognise import checked_base, checked_network, require_finite
from .sapiens_architecture import SapiensArchitecture
from .tensors import TensorFile, write_tensors
from .upkeep import delete_model

_BASE_FILE = "base.safetensors"
_ARCHITECTURE_KEYS = ("heads", "patch_padding", "input_size_wh")


def import_files(
    files: Sequence[Path],
    model_id: str | None = None,
    *,
    base: Path | None = None,
    scheme: str | None = None,
    architecture: Path | None = None,
    force: bool = False,
    keep_existing: bool = False,
    progress: Progress | None = None,
) -> list[ModelCard]:
    """Installs what `files` hold and returns the cards.

    model_id: name to install under. Without it, released files get the ids of the catalogue by their number of
    channels. Where several models are given, they become ID (the universal one), ID-head, ID-hand and so on.
    base: the backbone of LoRA checkpoints; otherwise one among `files`, otherwise the installed sapiens-0.3b.
    scheme: id or path of the scheme that the channels mean, where their number does not tell.
    architecture: JSON file with what shapes cannot tell, any of "heads", "patch_padding", "input_size_wh".
    force: replace models of the same id. keep_existing: pass over models whose id is taken.
    Raises ModelError that names the file and what to do; nothing is installed then.
    """
    if not files:
        raise ModelError("No file was given. Give the .zip, .pth or .safetensors file.")
    if model_id is not None:
        checked_id(model_id)
    overrides = read_architecture(architecture) if architecture else {}
    with staging_folder(models_folder()) as staging:
        return _Import(staging, overrides, scheme, force, keep_existing, progress).run(files, model_id, base)


def read_architecture(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises ModelError where it is none, or has a key that nobody reads."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}).") from error
    unknown = sorted(set(data) - set(_ARCHITECTURE_KEYS)) if isinstance(data, dict) else ["no JSON object"]
    if unknown:
        raise ModelError(
            f"{path}: {', '.join(unknown)} is not understood. It may hold {', '.join(_ARCHITECTURE_KEYS)}."
        )
    return data


class _Import:
    """One call of `import_files`: its settings, and what has been prepared in the staging folder."""

    def __init__(
        self,
        staging: Path,
        overrides: Mapping[str, Any],
        scheme: str | None,
        force: bool,
        keep_existing: bool,
        progress: Progress | None,
    ) -> None:
        self._staging = staging
        self._overrides = overrides
        self._scheme = scheme
        self._force = force
        self._keep_existing = keep_existing
        self._progress = progress or (lambda share, text: None)
        self._moves: list[tuple[Path, Path]] = []  # prepared, final

    def run(self, files: Sequence[Path], model_id: str | None, base: Path | None) -> list[ModelCard]:
        self._progress(0.0, "reading")
        given = [one for path in files for one in given_files(path, self._staging)]
        bases = [one for one in given if one.weights.kind == "base"]
        models = [one for one in given if one.weights.kind != "base"]
        if base is not None:
            bases.append(given_base(base, self._staging))
        if len(bases) > 1:
            raise ModelError(f"{bases[0].label} and {bases[1].label} are both bases. Give one.")
        if base is not None and all(one.weights.kind == "whole" for one in models):
            raise ModelError(f"{files[0]} needs no base: leave --base out.")
        cards: list[ModelCard] = []
        base_names: Mapping[str, Any] | None = None
        base_sha256 = None
        if bases:
            base_sha256, architecture = self._prepare_base(bases[0])
            base_names = bases[0].weights.tensors
            if self._is_to_be_listed(models, base, architecture):
                cards.append(self._base_card(bases[0], base_sha256, architecture, None if models else model_id))
        elif any(one.weights.kind == "adapter" for one in models):
            base_sha256, base_names = self._installed_base(models[0].label)
        ids = self._ids(models, model_id, base_names)
        for number, (one, name) in enumerate(zip(models, ids, strict=True)):
            if self._keep_existing and model_folder(name).exists():
                continue
            share = (0.5 + 0.5 * number / len(models), 0.5 + 0.5 * (number + 1) / len(models))
            needed = (base_names, base_sha256) if one.weights.kind == "adapter" else (None, None)
            cards.append(self._prepare_model(one, name, *needed, share))
        self._move_into_place()
        self._progress(1.0, "installed")
        return [installed_card(card.id) or card for card in cards]

    def _prepare_base(self, given: Given) -> tuple[str, SapiensArchitecture]:
        architecture = checked_base(given.weights, self._overrides)
        require_finite(given.weights)
        target = self._staging / _BASE_FILE
        sha256 = self._write(target, given, {}, 0.1, 0.5)
        self._moves.append((target, base_path(sha256)))
        return sha256, architecture

    def _is_to_be_listed(self, models: Sequence[Given], base: Path | None, architecture: SapiensArchitecture) -> bool:
        """Whether a base becomes a model of its own in the list, or only serves the models given with it."""
        if not models:
            return True
        return base is None and _is_default(architecture) and installed_card(DEFAULT_BASE) is None

    def _base_card(
        self, given: Given, sha256: str, architecture: SapiensArchitecture, model_id: str | None
    ) -> ModelCard:
        is_default = _is_default(architecture)
        model_id = model_id or (DEFAULT_BASE if is_default else None)
        if model_id is None:
            raise ModelError(
                f"{given.label} is a base of width {architecture.embed}. Say what to call it with --id NAME."
            )
        self._require_free(model_id)
        size_bytes = (self._staging / _BASE_FILE).stat().st_size
        weights = StoredWeights(None, sha256, size_bytes, sha256, given.label, given.sha256())
        card = card_for_base(model_id, architecture, is_default, weights)
        self._prepare_card(card)
        return card

    def _installed_base(self, label: str) -> tuple[str, Mapping[str, Any]]:
        card = installed_card(DEFAULT_BASE)
        sha256 = card.weights.base_sha256 if card and card.weights else None
        if sha256 is None or not base_path(sha256).is_file():
            raise ModelError(
                f"{label} is an adapter and needs the Sapiens base, which is not installed. Get it with "
                f"'medlandmark models download {DEFAULT_BASE} --accept-license', or name its file: "
                "--base sapiens_0.3b_epoch_1600_clean.pth"
            )
        base = TensorFile(base_path(sha256))
        return sha256, {name: base.blank(name) for name in base.names}

    def _ids(self, models: Sequence[Given], model_id: str | None, base: Mapping[str, Any] | None) -> list[str]:
        """The id of each model: as asked, or the catalogue's, by the number of channels."""
        ids = []
        for one in models:
            architecture = checked_network(
                one.weights, base if one.weights.kind == "adapter" else None, self._overrides
            )
            usual = default_id(architecture.keypoints)
            if model_id is not None and len(models) == 1:
                ids.append(model_id)
            elif usual is None or (model_id is None and not _is_default(architecture)):
                raise ModelError(
                    f"{one.label} has {architecture.keypoints} channels on a backbone of width {architecture.embed}, "
                    "which is none of the released models. Import it by itself and say what to call it with --id NAME."
                )
            else:
                ids.append(usual if model_id is None else re.sub(r"^[a-z]+", model_id, usual, count=1))
        takers: dict[str, str] = {}
        for one, name in zip(models, ids, strict=True):
            if name in takers:
                raise ModelError(
                    f"{takers[name]} and {one.label} would both become '{name}'. Import them one by one, each "
                    "with its --id."
                )
            takers[name] = one.label
        return ids

    def _prepare_model(
        self,
        given: Given,
        model_id: str,
        base: Mapping[str, Any] | None,
        base_sha256: str | None,
        share: tuple[float, float],
    ) -> ModelCard:
        self._require_free(model_id)
        architecture = checked_network(given.weights, base, self._overrides)
        require_finite(given.weights)
        schemes = schemes_for(given.label, architecture.keypoints, self._scheme)
        folder = self._prepared_folder(model_id)
        # the base's hash stands in the file, so that the file's own hash identifies the whole network
        sha256 = self._write(folder / WEIGHTS_NAME, given, {"base_sha256": base_sha256}, *share)
        size_bytes = (folder / WEIGHTS_NAME).stat().st_size
        weights = StoredWeights(WEIGHTS_NAME, sha256, size_bytes, base_sha256, given.label, given.sha256())
        card = card_for_model(model_id, architecture, _is_default(architecture), schemes, weights)
        self._prepare_card(card)
        return card

    def _write(self, target: Path, given: Given, note: Mapping[str, Any], first: float, last: float) -> str:
        """Converts one file; `first` and `last` are the shares of the whole work before and after it."""
        total = sum(tensor.nbytes for tensor in given.weights.tensors.values())
        require_space(self._staging, total)
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            self._progress(first + (last - first) * done / max(total, 1), f"converting {given.label}")

        return write_tensors(target, given.weights.tensors, note, count)

    def _prepare_card(self, card: ModelCard) -> None:
        folder = self._prepared_folder(card.id)
        write_json(folder / CARD_NAME, card.to_json())
        self._moves.append((folder, model_folder(card.id)))

    def _require_free(self, model_id: str) -> None:
        shipped = catalogue().get(model_id)
        if shipped is not None and shipped.is_embedded:
            raise ModelError(f"'{model_id}' is part of MedLandmark and cannot be replaced. Choose another --id.")
        if model_folder(model_id).exists() and not self._force:
            raise ModelError(
                f"'{model_id}' is already installed. Choose another --id, replace it with --force, or delete it first: "
                f"medlandmark models delete {model_id}"
            )

    def _prepared_folder(self, model_id: str) -> Path:
        folder = self._staging / "models" / checked_id(model_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _move_into_place(self) -> None:
        replaced = [final for _, final in self._moves if final.is_dir() or final.is_symlink()]
        for final in replaced:  # first, as a base that only they used goes with them
            delete_model(final.name, keep_shared_base=True)
        for prepared, final in self._moves:
            final.parent.mkdir(parents=True, exist_ok=True)
            if not final.is_file():  # a base that is here already stays: its name is its hash
                os.replace(prepared, final)


def _is_default(architecture: SapiensArchitecture) -> bool:
    shipped = catalogue()[DEFAULT_BASE].architecture
    return (architecture.embed, architecture.layers) == (shipped["embed"], shipped["layers"])
