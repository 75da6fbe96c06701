"""What the models of documents are made of: how they treat keys they do not know, and the numbers in them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

KNOWN_KEYS_ONLY = ConfigDict(strict=True, extra="forbid")
"""For `__pydantic_config__` of a dataclass that is part of a document."""


class Document(BaseModel):
    """A file or a part of one; nothing is converted, nothing changes. Keys of a newer version are ignored."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="ignore", serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )
    noun: ClassVar[str] = "such a document"  # what a file must be: "a model description"

    @classmethod
    def contradictions(cls, _: Any, /) -> Iterator[str]:
        """What disagrees between the entries of a file that has other faults too, which pydantic then leaves out."""
        yield from ()


class KeepsUnknownKeys(Document):
    """A document whose unknown keys are written again as they were read."""

    model_config = ConfigDict(extra="allow")


class KnowsAllKeys(Document):
    """A document that refuses a key it does not know, because that is a typing error; it says which there are."""

    model_config = ConfigDict(extra="forbid")


class Nothing(KnowsAllKeys):
    """A part that is {} in the file, because there is nothing to say."""

    def __bool__(self) -> Literal[False]:
        return False


NOTHING = Nothing()


def absent() -> Any:
    """The default of a key that may be missing: None, and then it is not written either."""
    return Field(default=None, exclude_if=lambda value: value is None)


def _as_written(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    number = validate(value)
    return value if type(value) is int else number


_KEPT = WrapValidator(_as_written)
_WRITTEN = PlainSerializer(lambda value: value, return_type=int | float)
Number = Annotated[float, Field(allow_inf_nan=False), _KEPT, _WRITTEN]
"""A finite number; 18 stays 18 when it is written again, and does not become 18.0."""
NotNegative = Annotated[float, Field(allow_inf_nan=False, ge=0.0), _KEPT, _WRITTEN]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0.0), _KEPT, _WRITTEN]
Share = Annotated[float, Field(allow_inf_nan=False, ge=0.0, le=1.0), _KEPT, _WRITTEN]
"""A probability or a rate, 0..1."""


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """For AfterValidator: a name must be one of these."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no {name}; there are {', '.join(names)}")
        return name

    return check
