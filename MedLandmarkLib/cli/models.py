"""`medlandmark models`: what there is to detect with, and getting, checking and removing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from ..models import store
from ..models.catalogue import ModelCard
from ..models.folder import base_path, weights_path
from . import options
from .console import NOTHING_DONE, SOME_FAILED, complain, out, plain_errors
from .progress import progress_bar

models_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, show, download, import, verify and delete models.\n\nModels lie in the user's data folder, or in "
    "$MEDLANDMARK_HOME/models where that is set.",
)

ModelId = Annotated[str, typer.Argument(metavar="ID", help="Id of a model, as 'medlandmark models list' shows it.")]

IMPORT_HELP = """Install models from files that you have.

Accepted are the released zip under any folder names, the checkpoints in it, the Sapiens base, whole (non-LoRA)
checkpoints and safetensors; and the model folder that training and teaching leave, or a zip of it, which describes
itself and brings the scheme of its owner's landmarks. What a file is shows in its tensors, not in its name. Nothing in
a file is executed.

    medlandmark models import sapiens_0.3b_epoch_1600_clean.pth

    medlandmark models import checkpoints.zip

    medlandmark models import shared-model.zip

    medlandmark models import mine.pth --id mine --base base.pth --scheme plax-4 --architecture architecture.json

A LoRA checkpoint needs its base: --base FILE, or the base among FILE..., or the installed sapiens-0.3b.

Without --id, released models are named by their number of channels: 88 medsapiens, 19 medsapiens-head, 37
medsapiens-hand, 6 medsapiens-chest, 26 medsapiens-leg, 16 geosapiens-teeth. Several models at once with --id NAME
become NAME (88), NAME-head, NAME-hand and so on.

The number of channels tells the scheme, too; where it does not (4 channels, say), add --scheme.

--architecture names a JSON file with what shapes cannot tell, any of {"heads": 4, "patch_padding": 2,
"input_size_wh": [768, 1024]}. The released models need none.
"""


@models_app.command("list")
def list_models(as_json: options.JsonOption = False) -> None:
    """All models: those that are ready, and those that can be downloaded or imported."""
    with plain_errors():
        cards = store.known_models()
        if as_json:
            print(json.dumps([_described(card) for card in cards], indent=2, ensure_ascii=False))
            return
        table = Table("model", "title", "schemes", "state", "size", "licence", box=box.SIMPLE, pad_edge=False)
        table.columns[0].no_wrap = table.columns[-1].no_wrap = True
        table.columns[1].overflow = "fold"
        for card in cards:
            schemes = ", ".join(card.schemes) or "(base)"
            licence = "not stated" if card.licence.spdx == "NOASSERTION" else card.licence.spdx
            table.add_row(*map(escape, (card.id, card.title, schemes, _state(card), _size(card), licence)))
        out().print(table)
        for model_id, problem in store.damaged_models().items():
            complain(problem, model_id)


@models_app.command("show")
def show_model(model_id: ModelId, as_json: options.JsonOption = False) -> None:
    """Everything known of one model: source, licence, citation, schemes, input, accuracy, files and hashes."""
    with plain_errors():
        card = store.find_model(model_id)
        described = _described(card)
        if as_json:
            print(json.dumps(described, indent=2, ensure_ascii=False))
            return
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for key, value in _rows(described):
            table.add_row(escape(key), escape(value))
        out().print(table)
        if described["state"] != "ready":
            typer.echo(f"\n{store.how_to_get(card)}")


@models_app.command("download")
def download(
    model_id: ModelId,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="I have read the licence and keep to it (non-commercial use).")
    ] = False,
    accept_changed: Annotated[
        bool,
        typer.Option("--accept-changed", help="Take the file although it differs from what this address gave before."),
    ] = False,
) -> None:
    """Download a model, and the base it needs, and install both.

    The licence is printed in full first; non-commercial ones need --accept-license. An interrupted download goes on
    where it stopped when the same command is given again. Where no hash is published, that of the first download is
    recorded and later ones must match it.
    """
    with plain_errors():
        cards = store.cards_to_fetch(model_id)
        if not cards:
            typer.echo(f"{model_id} is already installed.")
            return
        _show_licences(cards)
        if any(card.licence.noncommercial for card in cards) and not accept_license:
            typer.echo(
                f"\nNothing was downloaded. If you accept the licence, run:\n\n"
                f"  medlandmark models download {model_id} --accept-license\n",
                err=True,
            )
            raise typer.Exit(NOTHING_DONE)
        with progress_bar(model_id) as progress:
            installed = store.download_model(
                model_id,
                accept_license=accept_license,
                accept_changed=accept_changed,
                progress=progress,
                bytes_progress=_in_megabytes(progress),
            )
        _tell_installed(installed)


@models_app.command("import", help=IMPORT_HELP)
def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="The .zip, .pth, .pt or .safetensors file(s), or a model folder."),
    ],
    model_id: Annotated[
        str | None,
        typer.Option("--id", metavar="NAME", help="Name to install under; see above for when to leave it out."),
    ] = None,
    base: Annotated[
        Path | None, typer.Option("--base", metavar="FILE", help="The Sapiens base file, for LoRA checkpoints.")
    ] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", help="What the channels mean, where their number does not tell.")
    ] = None,
    architecture: Annotated[
        Path | None,
        typer.Option(
            "--architecture",
            metavar="FILE.json",
            help='What shapes cannot tell: {"heads": 16, "patch_padding": 2, "input_size_wh": [768, 1024]}.',
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model of the same name.")] = False,
) -> None:
    """The command; IMPORT_HELP is what the user reads."""
    with plain_errors():
        with progress_bar("importing") as progress:
            installed = store.import_model(
                files, model_id, base=base, scheme=scheme, architecture=architecture, force=force, progress=progress
            )
        _tell_installed(installed)


@models_app.command("verify")
def verify(
    model_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Models to check; all installed ones by default.")
    ] = None,
) -> None:
    """Hash the files of models again and compare with what was installed. Exit code 1 where one differs."""
    with plain_errors():
        is_all_right = True
        for model_id in model_ids or [card.id for card in store.known_models() if card.weights]:
            with progress_bar(f"hashing {model_id}") as progress:
                checks = store.verify_model(model_id, _in_megabytes(progress))
            for check in checks:
                is_all_right &= check.is_right
                if check.is_right:
                    typer.echo(f"{model_id}: {check.path.name} is right (sha256 {check.found})")
                else:
                    found = f"has sha256 {check.found}, not {check.expected}" if check.found else "is gone"
                    complain(f"{check.path} {found}. Delete the model and get it again.", model_id)
        for model_id, problem in store.damaged_models().items() if not model_ids else ():
            is_all_right = False
            complain(problem, model_id)
        if not is_all_right:
            raise typer.Exit(SOME_FAILED)


@models_app.command("delete")
def delete(
    model_id: ModelId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Delete a base although other models need it.")] = False,
) -> None:
    """Delete a model from this computer, and its base once no other model uses it."""
    with plain_errors():
        if not yes:
            typer.confirm(f"Delete model '{model_id}' from {store.models_folder()}?", abort=True)
        freed = store.delete_model(model_id, force=force)
        typer.echo(f"Deleted {model_id} ({_bytes(freed)} freed).")


def _described(card: ModelCard) -> dict[str, Any]:
    own = weights_path(card)
    base = card.weights.base_sha256 if card.weights else None
    return {
        **card.to_json(),
        "state": _state(card),
        "path": str(card.folder) if card.folder else None,
        "files": [str(path) for path in (own, base_path(base) if base else None) if path],
    }


def _state(card: ModelCard) -> str:
    if card.weights is None:
        return "needs download" if card.source and card.source.download_url else "needs import"
    if store.missing_files(card):
        return "files missing"
    return "embedded" if card.is_embedded else "ready"


def _bytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _size(card: ModelCard) -> str:
    if card.size_bytes is None:
        return "unknown"
    is_guess = card.weights is None and card.source is not None and card.source.size_is_approximate
    return ("about " if is_guess else "") + _bytes(card.size_bytes)


def _rows(data: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested JSON as (dotted name, value); empty ones are left out."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _rows(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(data, (list, tuple)) and any(isinstance(value, dict) for value in data):
        for number, value in enumerate(data, 1):
            yield from _rows(value, f"{prefix}.{number}")
    elif data not in (None, "", [], ()):
        yield prefix, ", ".join(map(str, data)) if isinstance(data, (list, tuple)) else str(data)


def _show_licences(cards: list[ModelCard]) -> None:
    """The licence of each card in full; a text that several share is printed once."""
    shown: set[str | None] = set()
    for card in cards:
        typer.echo(f"{'=' * 78}\nLicence of {card.id} ({card.title})\n{'=' * 78}")
        typer.echo(card.licence.full_text(with_legal_text=card.licence.text_file not in shown) + "\n")
        shown.add(card.licence.text_file)


def _tell_installed(cards: list[ModelCard]) -> None:
    for card in cards:
        what = ", ".join(card.schemes) or "base for other models"
        typer.echo(f"Installed {card.id}: {what} (sha256 {card.sha256})")
        if card.licence.noncommercial:
            typer.echo(f"  Licence: {card.licence.name}. Non-commercial use only.")
    detecting = next((card for card in cards if card.schemes), None)
    if detecting:
        scheme = next(iter(detecting.schemes))
        typer.echo(f"Use it: medlandmark detect IMAGE --scheme {scheme} --model {detecting.id} --output DIR")


def _in_megabytes(report: Callable[[float, str], None]) -> Callable[[int, int | None], None]:
    """What takes bytes done and bytes in all, and reports them as a share of a bar."""

    def report_bytes(done: int, total: int | None) -> None:
        report(done / total if total else 0.0, _bytes(done) + (f" of {_bytes(total)}" if total else ""))

    return report_bytes
