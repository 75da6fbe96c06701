"""Presentation contexts (PS3.8 9.3.2): what we accept from a peer, and what we propose to one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.sop_classes import (
    STORAGE_COMMITMENT,
    STORAGE_SOP_CLASSES,
    TRANSFER_SYNTAXES,
    UNCOMPRESSED,
    VERIFICATION,
)

_LAST = {ExplicitVRBigEndian: 1, ImplicitVRLittleEndian: 2}  # loses no VR, if the peer leaves us the choice


def contexts_for(requested: Iterable[PresentationContext]) -> list[PresentationContext]:
    """What we support of what a peer asks for, transfer syntaxes in the peer's order of preference.

    The peer's order counts because its objects are already encoded in one of them. Building only these contexts
    instead of all 94 storage classes with 15 syntaxes is what keeps negotiation quick.
    """
    wanted: dict[UID, dict[UID, None]] = {}
    for context in requested:
        if context.abstract_syntax is not None:
            wanted.setdefault(context.abstract_syntax, {}).update(dict.fromkeys(context.transfer_syntax))
    return [
        _accepted(sop_class, allowed)
        for sop_class, syntaxes in wanted.items()
        if (allowed := _allowed(sop_class, syntaxes))
    ]


def _allowed(sop_class: UID, syntaxes: Iterable[UID]) -> list[UID]:
    if sop_class in STORAGE_SOP_CLASSES:
        return sorted((s for s in syntaxes if s in TRANSFER_SYNTAXES), key=lambda s: _LAST.get(s, 0))
    if sop_class in (VERIFICATION, STORAGE_COMMITMENT):
        return sorted((s for s in syntaxes if s in UNCOMPRESSED), key=lambda s: _LAST.get(s, 0))
    return []


def _accepted(sop_class: UID, syntaxes: Sequence[UID]) -> PresentationContext:
    context = build_context(sop_class, [*syntaxes])
    if sop_class == STORAGE_COMMITMENT:
        # the peer may report on what we asked it to commit: it is the SCP then (PS3.4 J.3.3, role selection)
        context.scu_role, context.scp_role = True, True
    return context


def contexts_to_propose(
    sop_classes: Iterable[str], more_transfer_syntaxes: Iterable[str] = ()
) -> list[PresentationContext]:
    """One context per SOP class with explicit and implicit VR little endian, and one for each further syntax.

    A context of its own per compressed syntax: the peer picks one syntax per context, and may pick the wrong one.
    """
    choices: list[list[str | UID]] = [[ExplicitVRLittleEndian, ImplicitVRLittleEndian]]
    choices += [[UID(syntax)] for syntax in more_transfer_syntaxes if syntax != ExplicitVRLittleEndian]
    return [build_context(sop_class, syntaxes) for sop_class in sop_classes for syntaxes in choices]
