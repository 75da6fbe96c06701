"""`candor models new`: a package folder around an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(  # noqa: PLR0913, PLR0917 - options of a command
    folder: Annotated[Path, typer.Argument(help="The package to make; its name is the model's.", metavar="FOLDER")],
    onnx: Annotated[Path, typer.Option("--onnx", help="The exported network.", metavar="FILE")],
    finding: Annotated[list[str], typer.Option("--finding", help="One for each output, in order.", metavar="NAME")],
    activation: Annotated[
        str, typer.Option("--activation", help="Still to be done to the outputs: sigmoid, softmax, none.")
    ],
    black: Annotated[float, typer.Option("--black", help="What black is to the network, as 0 or -1.")],
    white: Annotated[float, typer.Option("--white", help="What white is to it, as 1 or 255.")],
    mean: Annotated[str, typer.Option("--mean", help="Subtracted, one for each channel: 0.485,0.456,0.406.")] = "",
    std: Annotated[str, typer.Option("--std", help="Divided by, one for each channel.")] = "",
    size: Annotated[
        int | None,
        typer.Option(min=0, help="Where the file takes any: the side it was trained at; 0: it resizes itself."),
    ] = None,
    output: Annotated[str, typer.Option("--output", help="That of the scores, where there are several.")] = "",
) -> None:
    """For model developers: make a package of any square export; codes and figures are for you to fill in."""
    from models.package.new import Declared, make_package

    declared = Declared(
        name=folder.name,
        findings=finding,
        activation=activation,
        range=(black, white),
        mean=_numbers(mean),
        std=_numbers(std),
        size=size,
        output=output,
    )
    shown = make_package(onnx, folder, declared)
    typer.echo(
        f"read from {onnx.name}: input {shown.input_name}, {shown.dtype}, {shown.layout}, channels: {shown.channels}, "
        f"side {shown.size or 'any'}, output {shown.output_name}"
    )
    typer.echo(f"{folder / 'candor.json'}: fill in codes, intended use, what it accepts and the operating points")


def _numbers(text: str) -> tuple[float, ...]:
    from core.errors import ConfigurationError

    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise ConfigurationError("--mean and --std take numbers, separated by commas") from None
