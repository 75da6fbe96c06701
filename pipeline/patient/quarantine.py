"""The quarantine, for the node and for the person who works through it: what is held, and what becomes of it."""

from __future__ import annotations

from core.errors import ConfigurationError, IntegrityError, InvalidStudy
from core.identity import is_another
from core.store.store import Store
from core.store.studies.arrivals import Arrival, InstanceRole
from core.store.studies.patient.quarantine import Decision, Quarantined, QuarantineKind
from dicom_node.header.read import read_header
from dicom_node.intake import ReceivedObject, received_object

_CORRECTED = Decision(by="candor", because="the study was corrected to the patient that this image names")


def arrival_of(received: ReceivedObject, store: Store) -> Arrival:
    """What the node hands in, as the store takes it."""
    return Arrival(
        instance=received.instance,
        patient=received.patient,
        accession_number=received.accession_number,
        study_date=received.study_date,
        expected_instances=received.expected_instances,
        association_id=received.association_id,
        calling_ae_title=received.calling_ae_title,
        role=_role(received, store),
        part10=received.part10,
    )


def header_of(item: Quarantined, store: Store) -> ReceivedObject:
    """A quarantined object as it arrived. Identity: for a person who asks for it."""
    part10 = store.quarantine.part10_of(item)
    try:
        header = read_header(part10)
    except InvalidStudy as error:
        raise IntegrityError(f"number {item.quarantine_id} cannot be read: {error}") from error
    return received_object(header, part10, association_id="", calling_ae_title=item.calling_ae_title)


def accept(number: int, decision: Decision, store: Store) -> Quarantined:
    """Take a quarantined object in; its study is read again."""
    item = store.quarantine.find(_signed(number, decision))
    store.intake.accept(item, arrival_of(header_of(item, store), store), decision)
    return item


def drop(number: int, decision: Decision, store: Store) -> Quarantined:
    """Forget a quarantined object."""
    item = store.quarantine.find(_signed(number, decision))
    store.quarantine.drop(item, decision)
    return item


def release_corrected(store: Store, study_id: str) -> None:
    """Take in the late images that name the patient to whom their study has just been corrected.

    A PACS sends a corrected study in any order: an image that is new may come before those that correct the patient.
    """
    for item in store.quarantine.held(study_id=study_id, kind=QuarantineKind.OTHER_PATIENT):
        received = header_of(item, store)
        if not is_another(store.intake.patient_of(study_id), received.patient):
            store.intake.accept(item, arrival_of(received, store), _CORRECTED)


def _signed(number: int, decision: Decision) -> int:
    if not decision.by.strip() or not decision.because.strip():
        raise ConfigurationError("a decision needs a name (--as) and a reason (--because); both are kept in the trail")
    return number


def _role(received: ReceivedObject, store: Store) -> InstanceRole:
    """What our equipment marks as a result is none to read, whichever installation it came from."""
    if received.made_by_candor or store.intake.is_own_result(received.instance.sop_instance_uid):
        return InstanceRole.OWN_RESULT
    return InstanceRole.SOURCE if received.carries_image else InstanceRole.FILED
