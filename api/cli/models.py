"""`candor models`: the registry at the command line. What the commands do is in pipeline.registration and models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import DEFAULT_DATA, Data, Json, opened, print_json
from api.cli.progress import shown_progress
from api.cli.tables.models import print_comparison, print_details, print_listing, print_registration
from core.domain.registration import ModelState, SecondReader
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from core.store.store import Store
    from models.registry import Registry

models = typer.Typer(help="The model registry: what runs here, and the proof of it.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A model.", metavar="NAME")]
Version = Annotated[str, typer.Argument(help="One of its versions.", metavar="VERSION")]
Folder = Annotated[Path, typer.Argument(help="A model package.", metavar="FOLDER")]


def _installed(data: Path) -> tuple[Registry, Store | None]:
    """The versions of the data folder, and its store; what ships where there is no data folder and none was named."""
    from models.registry import load_registry
    from pipeline.installed_models import site_registry

    if data == DEFAULT_DATA and not data.exists():
        typer.echo(f"There is no data folder {data} yet (candor init makes one); what ships with Candor:", err=True)
        return load_registry(), None
    settings, store = opened(data)
    return site_registry(settings, store), store


@models.command("list")
def list_(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List every version with its state: live, shadow, retired, or refused and why."""
    registry, _ = _installed(data)
    from pipeline.registration.listing import list_versions

    found = list_versions(registry)
    print_json([asdict(row) for row in found]) if as_json else print_listing(found)


@models.command()
def show(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="Default: the live one.", metavar="[VERSION]")] = None,
    card: Annotated[bool, typer.Option("--card", help="Print the whole model card, Markdown.")] = False,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show one version: what it is for, its figures, its signed record, and the path of its card."""
    registry, store = _installed(data)
    entry = registry.entry(name, version)
    if card:
        typer.echo(entry.package.read(entry.package.card.relative_to(entry.package.folder)).decode("utf-8"))
    elif as_json:
        from pipeline.registration.listing import describe_version

        print_json(describe_version(entry, store))
    else:
        print_details(entry)


@models.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Default: every model.", metavar="[NAME]")] = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Check every hash and signature and run each model once; exit code 6 when anything is refused."""
    registry, _ = _installed(data)
    from pipeline.registration.listing import verify_versions

    found = verify_versions(registry, name)
    print_json([asdict(row) for row in found]) if as_json else print_listing(found)
    if any(row.state == "refused" for row in found):
        raise typer.Exit(6)


@models.command()
def register(
    folder: Folder,
    state: Annotated[
        ModelState | None,
        typer.Option(
            "--state", help="shadow (the default), or live where no live model takes the same images.", metavar="STATE"
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Run the registration checks again on this labelled set.", metavar="DIR"),
    ] = None,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Verify a package, copy it into the data folder, run the registration checks, and sign and keep what was found."""
    settings, store = opened(data)
    import json

    from core.domain.registration import text_of_registration
    from pipeline.registration.registration import register as register_package

    with shown_progress() as progress:
        registration = register_package(folder, settings, store, state=state, data=images, progress=progress)
    print_json(json.loads(text_of_registration(registration))) if as_json else print_registration(registration)


By = Annotated[str, typer.Option("--as", help="Who decides it.", metavar="NAME")]
Because = Annotated[str, typer.Option("--because", help="Why; both are kept in the trail.", metavar="TEXT")]


def _change(
    name: str,
    version: str,
    state: ModelState,
    data: Path,
    second_reader: SecondReader | None = None,
    *,
    by: str = "",
    because: str = "",
) -> None:
    if bool(by.strip()) != bool(because.strip()) or (by and not by.strip()):
        raise ConfigurationError("a signature is --as and --because together; give both or neither")
    settings, store = opened(data)
    from pipeline.installed_models import model_warnings
    from pipeline.registration.registration import change_state

    changed = change_state(name, version, state, settings, store, second_reader=second_reader, by=by, because=because)
    typer.echo(f"{changed.title} is {changed.state} now; a running worker takes it up when it is started again")
    for warning in model_warnings(settings, store):
        typer.echo(f"Attention: {warning}", err=True)


@models.command()
def live(
    name: Name,
    version: Version,
    by: Annotated[
        str, typer.Option("--as", help="Who signs that it reads what another live model reads too.", metavar="NAME")
    ] = "",
    because: Annotated[str, typer.Option("--because", help="Why both are to read.", metavar="TEXT")] = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Let a registered version read for people; the version of that name that did is retired."""
    second_reader = SecondReader(by=by, because=because) if by.strip() and because.strip() else None
    _change(name, version, ModelState.LIVE, data, second_reader, by=by, because=because)


@models.command()
def shadow(name: Name, version: Version, by: By = "", because: Because = "", data: Data = DEFAULT_DATA) -> None:
    """Let a version read what the live one reads: recorded for comparison, never reported."""
    _change(name, version, ModelState.SHADOW, data, by=by, because=because)


@models.command()
def retire(name: Name, version: Version, by: By = "", because: Because = "", data: Data = DEFAULT_DATA) -> None:
    """Let a version not run any more, for a reason that a person gives; its record stays, and live brings it back."""
    _change(name, version, ModelState.RETIRED, data, by=by, because=because)


@models.command()
def compare(
    name: Name,
    live: Annotated[str, typer.Argument(help="The version that reported.", metavar="LIVE")],
    shadow: Annotated[str, typer.Argument(help="The version that read the same studies.", metavar="SHADOW")],
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Compare a shadow version with the one that reported, on the same studies, finding by finding."""
    _, store = opened(data)
    from pipeline.registration.comparison import comparison

    found = comparison(store, name, live, shadow)
    print_json(found.model_dump(mode="json")) if as_json else print_comparison(found)


@models.command()
def card(
    folder: Folder,
    pin: Annotated[bool, typer.Option("--pin", help="For a shipped package: say that it is now as it is.")] = False,
) -> None:
    """For model developers: render the model card again, Markdown and HTML, from the package's figures."""
    from api.pages.card.card import write_card
    from models.package.shipped import pin as pin_package

    for path in write_card(folder):
        typer.echo(path)
    if pin:
        pin_package(folder)


@models.command()
def keygen(file: Annotated[Path, typer.Argument(help="Where the private key goes.", metavar="FILE")]) -> None:
    """For model developers: make a key to sign packages with; prints the public key for trusted_model_keys."""
    from models.package.signatures import new_key

    typer.echo(new_key(file))


@models.command()
def sign(
    folder: Folder,
    key: Annotated[Path, typer.Option("--key", help="The maker's private key.", metavar="FILE")],
) -> None:
    """For model developers: sign a package; every later change of a file breaks the signature."""
    from models.package.signatures import sign_package

    typer.echo(f"signed with the key {sign_package(folder, key)}")
