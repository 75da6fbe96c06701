"""The command line `candor`: thin commands; what they do lives in the modules they import when they are called.

Imports are inside the commands, and come after the settings were found to be right, because neither `candor --help`
nor a typing error must wait for a database, a DICOM library or a model runtime. Every failure ends here as one
sentence on stderr and an exit code (core.errors); --debug shows the traceback.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli import audit, explain, explain_report, mitigation, models, models_new, status, train, truth
from api.cli.options import DEFAULT_DATA, Data, settings_of
from api.cli.studies import again, listing, logs, purge
from api.cli.studies.quarantine import quarantine
from core.errors import CandorError, answer_for
from core.wording import on_a_terminal

if TYPE_CHECKING:
    from core.settings import Settings

DEBUG = "--debug"
INTERRUPTED_EXIT_CODE = 130

app = typer.Typer(
    name="candor",
    help="AI diagnostic imaging for PACS: studies arrive by C-STORE, a structured report goes back. "
    "[bold]Research software, not a medical device.[/bold]",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

config = typer.Typer(name="config", help="Check the settings.", no_args_is_help=True, rich_markup_mode="rich")

Parent = Annotated[int | None, typer.Option(hidden=True, help="End when this process ends.")]


def main() -> None:
    """Run the command line and exit."""
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    debug = len(arguments) < len(sys.argv[1:])
    os.umask(0o077)  # what Candor writes may bear a patient's name: it is for this account only
    try:
        app(arguments, prog_name="candor")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except Exception as error:  # the outermost boundary: a person reads sentences, not tracebacks
        if debug:
            raise
        lines = _sentence(error).split("\n")
        print("candor: " + "\n".join(map(on_a_terminal, lines)), file=sys.stderr)  # noqa: T201
        sys.exit(answer_for(error).exit_code)


def _sentence(error: Exception) -> str:
    """Our own errors explain themselves; a foreign error's text may hold patient data, so only its kind is printed."""
    if isinstance(error, CandorError):
        return "\n".join(map(on_a_terminal, str(error).split("\n")))
    return f"something unexpected happened ({type(error).__name__}); run it again with {DEBUG} to see where"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"candor {version('candor')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback when something fails.")] = False,
) -> None:
    """The options that come before every command; `main` has taken --debug out already."""


@app.command(rich_help_panel="Set up")
def init(data: Data = DEFAULT_DATA) -> None:
    """Make a data folder with its key and a commented candor.toml."""
    from pipeline.data_folder import make_data_folder, next_steps

    typer.echo(next_steps(make_data_folder(data)))


app.command(rich_help_panel="Set up")(status.echo)


@config.command("check")
def check_settings(data: Data = DEFAULT_DATA) -> None:
    """Say whether the service would start with these settings, and what in them is worth a look."""
    settings = settings_of(data)
    from api.processes.settings_check import check
    from api.processes.warnings import warnings_of

    typer.echo(check(settings))
    for words in warnings_of(settings):
        typer.echo(f"Warning: {words}")


app.add_typer(config, rich_help_panel="Set up")


@app.command(rich_help_panel="Run")
def serve(data: Data = DEFAULT_DATA) -> None:
    """Run everything: the DICOM node, the worker and the web process, each restarted when it dies."""
    settings = _started(data, "serve")
    from api.processes.ready import speak
    from api.processes.supervisor import Supervisor, commands_of
    from core.store.first_start import refuse_truncated_database
    from core.store.keys import SiteKey
    from core.store.store import refuse_unwritable

    SiteKey.load(settings.site_key_file)  # here, so that a missing key is reported once and not by every child
    refuse_unwritable(settings)
    refuse_truncated_database(settings)
    speak(settings)
    raise typer.Exit(Supervisor(commands_of(data, "node", "worker", "web")).run())


@app.command(rich_help_panel="Run")
def node(
    data: Data = DEFAULT_DATA,
    name: Annotated[str, typer.Option(help="Unlike that of every other node of this installation.")] = "node",
    parent: Parent = None,
) -> None:
    """Run the DICOM node alone: it receives and keeps."""
    settings = _started(data, name)
    from api.processes.heartbeat import end_with
    from api.processes.node import serve_node

    end_with(parent)
    serve_node(settings, name=name)


@app.command(rich_help_panel="Run")
def worker(
    data: Data = DEFAULT_DATA,
    name: Annotated[str, typer.Option(help="Unlike that of every other worker of this installation.")] = "worker",
    parent: Parent = None,
) -> None:
    """Run a worker alone: it reads studies and delivers reports."""
    settings = _started(data, name)
    from api.processes.heartbeat import end_with
    from api.processes.worker import serve_worker

    end_with(parent)
    serve_worker(settings, name=name)


@app.command(rich_help_panel="Run")
def web(data: Data = DEFAULT_DATA, parent: Parent = None) -> None:
    """Run the web process alone: health, metrics and the list of studies, for this machine only."""
    settings = _started(data, "web")
    from api.processes.heartbeat import end_with
    from api.web.process import serve_web

    end_with(parent)
    serve_web(settings)


app.command(rich_help_panel="Look after")(status.status)
app.command(rich_help_panel="Look after")(status.retry)
app.command(rich_help_panel="Look after")(listing.studies)
app.command(rich_help_panel="Look after")(listing.study)
app.command(rich_help_panel="Look after")(again.read)
app.command(rich_help_panel="Look after")(again.deliver)
app.command(rich_help_panel="Look after")(purge.purge)
app.command(rich_help_panel="Look after")(logs.logs)


@app.command(rich_help_panel="Try out")
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the data folder in ./demo-output too.")] = False,
) -> None:
    """Send demo studies through a real node, worker and PACS on this machine, and show what comes back."""
    from api.demo.demo import run_demo

    raise typer.Exit(run_demo(keep=keep))


@app.command(rich_help_panel="Try out")
def analyze(
    paths: Annotated[list[Path], typer.Argument(help="DICOM, PNG or JPEG files, or folders.", metavar="PATH...")],
    out: Annotated[Path, typer.Option("--out", help="Where the results go.", metavar="DIR")],
    objects: Annotated[
        str,
        typer.Option("--objects", help="Which objects to write: sr, sc, gsps, seg, seg-fractional, pmap, sc-findings."),
    ] = "sr,sc,gsps,seg",
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model", help="Read with this package alone; it need not be registered; may be repeated.", metavar="DIR"
        ),
    ] = None,
) -> None:
    """Read DICOM, PNG or JPEG files without a network and write the DICOM results and results.json."""
    from api.demo.analyze import analyze_paths

    raise typer.Exit(analyze_paths(paths, out, objects, model or ()))


app.add_typer(audit.app)
app.add_typer(explain.app)
app.add_typer(train.app)
app.add_typer(truth.app)
models.models.command("new")(models_new.new)
models.models.command("explain-report")(explain_report.explain_report)
app.add_typer(models.models, name="models", rich_help_panel="Look after")
app.add_typer(quarantine, name="quarantine", rich_help_panel="Look after")
app.add_typer(mitigation.app)


def _started(data: Path, name: str) -> Settings:
    """The settings of a long-running process, with its log set up: on stderr, and in a file for `candor logs`."""
    from core.log import LOG_FOLDER, configure_logging

    settings = settings_of(data)
    file = settings.data_dir / LOG_FOLDER / f"{Path(name).name}.log"
    configure_logging(json=settings.log_json, level=settings.log_level, file=file)
    return settings
