"""The first run of a package that no one knows: in a child process, with a limit of time and of memory.

A graph may loop for ever or ask for more memory than there is, by mistake or on purpose. In a child it takes one
registration with it and nothing else, and Ctrl-C ends it at once.
"""

from __future__ import annotations

import multiprocessing
import resource
from multiprocessing.connection import Connection

from core.errors import CandorError, ConfigurationError
from core.progress import Progress, silent
from models.package.format import ModelPackage

LONGEST_SECONDS = 40.0
MOST_BYTES = 4 * 1024**3
_LOOK_SECONDS = 0.2


def try_out(
    package: ModelPackage,
    *,
    longest_seconds: float = LONGEST_SECONDS,
    most_bytes: int = MOST_BYTES,
    progress: Progress = silent,
) -> None:
    """Load the model and its quality check and run each once.

    Raises what loading raises, and ConfigurationError when the limits were reached or the process died.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(package, most_bytes, sender), daemon=True)
    child.start()
    sender.close()
    try:
        error = _answer_of(receiver, package.model.name, longest_seconds, progress)
    finally:
        child.kill()
        child.join()
    if error is not None:
        raise error


def _answer_of(receiver: Connection, name: str, longest_seconds: float, progress: Progress) -> CandorError | None:
    looks = round(longest_seconds / _LOOK_SECONDS)
    for number in range(looks):
        progress("trial run", number, looks)
        if receiver.poll(_LOOK_SECONDS):
            break
    else:
        raise ConfigurationError(
            f"{name} gave no answer within {longest_seconds:.0f} s in its trial run; it is refused"
        )
    try:
        answer: CandorError | None = receiver.recv()
    except EOFError:
        raise ConfigurationError(
            f"the process that tried {name} died, as when a graph asks for too much memory; it is refused"
        ) from None
    return answer


def _run(package: ModelPackage, most_bytes: int, answer: Connection) -> None:
    """In the child."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, hard))
    try:
        from models.quality import QualityModel
        from models.runtimes.onnx import OnnxModel

        model = OnnxModel.load(package, threads=1)
        if not package.reads.is_volume:
            model.check_answers()
        if package.quality:
            QualityModel.load(package.quality)
    except CandorError as error:
        answer.send(type(error)(str(error)))  # without its cause, which need not go through a pipe
    except MemoryError:
        answer.send(ConfigurationError(f"{package.model.name} needs more than {most_bytes / 1024**3:.0f} GiB to run"))
    except Exception as error:  # noqa: BLE001 - a boundary: what a package that no one knows may raise
        answer.send(ConfigurationError(f"{package.model.name} does not run ({type(error).__name__})"))
    else:
        answer.send(None)
