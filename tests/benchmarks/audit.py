"""How long an audit takes: `PYTHONPATH=. python -m tests.benchmarks.audit [IMAGES] [FINDINGS]` (a million and 14).

64 cohorts (four attributes and their intersections), five images a patient, 2,000 redrawn samples. Prints wall and
processor seconds, and the largest memory the process came to.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from fairness.audit.nouns import Provenance
from fairness.audit.run import Request, run_audit
from fairness.audit.table import AuditTable, Scores
from fairness.grouping import Grouping

_VALUES = {
    "sex": ("F", "M", "UNKNOWN"),
    "age_band": ("0-17", "18-39", "40-59", "60-79", "80+"),
    "view": ("AP", "PA"),
    "portable": ("no", "yes"),
}


class _Made:
    """Scores made when they are asked for."""

    def __init__(self, images: int, findings: int) -> None:
        self.images = images
        self.findings = tuple(f"finding_{number}" for number in range(findings))

    def scores(self, finding: str) -> Scores:
        """Calibrated probabilities with a seventh of positives."""
        random = np.random.default_rng(len(finding) + self.findings.index(finding))
        probabilities = random.beta(1, 6, self.images)
        return Scores(probabilities, (random.random(self.images) < probabilities).astype(np.int8))


def main(images: int = 1_000_000, findings: int = 14) -> None:
    """Make the audit and print what it took."""
    random = np.random.default_rng(1)
    attributes = {
        name: Grouping(values, random.integers(0, len(values), images).astype(np.int16))
        for name, values in _VALUES.items()
    }
    table = AuditTable(
        patients=(np.arange(images) // 5).astype(np.int32), attributes=attributes, source=_Made(images, findings)
    )
    started, used = time.perf_counter(), time.process_time()
    audit = run_audit(table, Request(by=tuple(attributes)), Provenance(code_version="", made_at="", source="benchmark"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"{images:,} images, {findings} findings, {len(audit.cohorts)} cohorts: "
        f"{time.perf_counter() - started:.0f} s, {time.process_time() - used:.0f} s of processor, {memory:.1f} GiB"
    )


if __name__ == "__main__":
    main(*(int(float(argument)) for argument in sys.argv[1:]))
