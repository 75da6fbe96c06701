"""Everything an installation keeps, opened: one object that the processes pass down."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from core.clock import Clock, steady_clock, system_clock
from core.errors import ConfigurationError
from core.pseudonym import pseudonym
from core.settings import Settings
from core.store.database_errors import why_not_writable
from core.store.engine import migrate, open_engine
from core.store.fairness.operating_policies import OperatingPolicyStore
from core.store.fairness.readings import ReadingStore, TruthStore
from core.store.fairness.site_audits import SiteAuditStore
from core.store.first_start import refuse_lost_database, refuse_truncated_database
from core.store.keys import SiteKey
from core.store.leases import LeaseStore
from core.store.models.predictions import PredictionStore
from core.store.models.registrations import ModelStore
from core.store.models.shadows import ShadowStore
from core.store.objects import INCOMING, ObjectStore
from core.store.studies.commitments import Commitments
from core.store.studies.explanations import ExplanationStore, FaithfulnessStore
from core.store.studies.intake import IntakeStore
from core.store.studies.lookup import Lookup
from core.store.studies.outbox import Outbox
from core.store.studies.patient.corrections import CorrectionStore
from core.store.studies.patient.quarantine import QuarantineStore
from core.store.studies.purge import Purge
from core.store.studies.reports import ReportStore
from core.store.studies.revisions import StudyStore
from core.store.trail import Trail


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The parts of the store; all share one engine, one key and one clock."""

    engine: Engine
    key: SiteKey
    now: Clock
    objects: ObjectStore
    trail: Trail
    intake: IntakeStore
    quarantine: QuarantineStore
    corrections: CorrectionStore
    studies: StudyStore
    predictions: PredictionStore
    reports: ReportStore
    outbox: Outbox
    commitments: Commitments
    lookup: Lookup
    purge: Purge
    leases: LeaseStore
    models: ModelStore
    shadows: ShadowStore
    readings: ReadingStore
    truths: TruthStore
    site_audits: SiteAuditStore
    operating_policies: OperatingPolicyStore
    faithfulness: FaithfulnessStore
    explanations: ExplanationStore

    def study_id_of(self, study_instance_uid: str) -> str:
        """The pseudonym under which a study appears in logs, metrics and file names."""
        return pseudonym(self.key.pseudonym_key, "study", study_instance_uid)

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def open_store(settings: Settings, *, now: Clock = system_clock) -> Store:
    """Open, and where needed migrate, the store of the data folder that `settings` name.

    Raises ConfigurationError when this account cannot write in it, and IntegrityError when the database of an
    installation that kept studies is empty or gone.
    """
    refuse_unwritable(settings)
    key = SiteKey.load(settings.site_key_file)
    refuse_truncated_database(settings)
    engine = open_engine(settings.store_url, key)
    objects = ObjectStore(settings.data_dir / "objects", key, minimum_free_bytes=settings.minimum_free_bytes)
    refuse_lost_database(engine, objects)
    migrate(engine)
    # The watermark turns senders away. What was acknowledged before must still be reported.
    results = ObjectStore(settings.data_dir / "objects", key, minimum_free_bytes=0)
    trail = Trail(engine, key, now=now)
    outbox = Outbox(engine, trail, now=now)
    quarantine = QuarantineStore(engine, objects, trail, now=now)
    return Store(
        engine=engine,
        key=key,
        now=now,
        objects=objects,
        trail=trail,
        intake=IntakeStore(
            engine,
            objects,
            trail,
            quarantine,
            study_id_of=lambda uid: pseudonym(key.pseudonym_key, "study", uid),
            now=now,
        ),
        quarantine=quarantine,
        corrections=CorrectionStore(engine),
        studies=StudyStore(engine, now=now, steady=steady_clock if now is system_clock else now),
        predictions=PredictionStore(engine, now=now),
        reports=ReportStore(engine, results, trail, now=now),
        outbox=outbox,
        commitments=Commitments(engine, outbox, now=now),
        lookup=Lookup(engine),
        purge=Purge(engine, objects, trail, now=now),
        leases=LeaseStore(engine, now=now),
        models=ModelStore(engine, key, trail, now=now),
        shadows=ShadowStore(engine, now=now),
        readings=ReadingStore(engine, now=now),
        truths=TruthStore(engine, now=now),
        site_audits=SiteAuditStore(engine, now=now),
        operating_policies=OperatingPolicyStore(engine, trail, now=now),
        faithfulness=FaithfulnessStore(engine, now=now),
        explanations=ExplanationStore(engine, now=now),
    )


def refuse_unwritable(settings: Settings) -> None:
    """Raise ConfigurationError when this account cannot write the data folder: that heals by no second try."""
    folder = settings.data_dir
    files = () if settings.database_url else (folder / "candor.db", folder / "candor.db-wal", folder / "workflows.db")
    for path in (folder, *files, folder / "objects", folder / "objects" / INCOMING):
        reason = why_not_writable(path)
        if reason is not None:
            raise ConfigurationError(reason)
