"""How the audit's page says findings, shares and counts."""

from __future__ import annotations

from core.wording import cohort_in_words

DASH = "-"


def finding_words(finding: str) -> str:
    """ "lung_opacity" as "lung opacity"."""
    return finding.replace("_", " ")


def cohort_words(cohort: str) -> str:
    """A cohort for a person, able to head a line: "women 60-79, AP"."""
    words = cohort_in_words(cohort)
    return words[:1].upper() + words[1:] if words.startswith(("women", "men", "aged", "age ", "all")) else words


def per_cent(share: float) -> str:
    """A share as it is said: "7 %", "0.4 %"; never "0 %" for what is more than nothing."""
    return f"{100 * share:.1f} %" if 0 < abs(share) < 0.095 else f"{100 * share:.0f} %"


def points(difference: float) -> str:
    """A difference of shares in percentage points: "22", "1.4", "-0.3"."""
    return f"{100 * difference:z.1f}" if abs(difference) < 0.095 else f"{100 * difference:.0f}"


def count(number: int | None) -> str:
    """A count, or a dash where it is withheld."""
    return DASH if number is None else f"{number:,}"


def probability(p: float) -> str:
    """A p value: "p = 0.013", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
