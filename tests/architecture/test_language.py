"""Plain English: words that the field does not use stay out of code, comments, messages and documents."""

import re
from collections import Counter

from tests.architecture.sources import ROOT, files, place

DIALECT = (
    *("told", "anew", "held against", "whoever", "nobody", "lies", "stands", "beside", "makers", "strangers?"),
    *("landlords?", "desks?", "opinions?", "signs of life", "reading room"),
)
WORDS = re.compile(rf"(?<![A-Za-z])({'|'.join(DIALECT)})(?![A-Za-z])", re.IGNORECASE)
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
MACHINE_NAMES = ('"stranger"', "`stranger`")  # a fault of the quality check, so called in packages that are shipped
EXEMPT = ("tests/architecture/", "CHANGELOG.md")  # this list itself, and history


def dialect(text: str) -> list[tuple[int, str]]:
    """Line and word of each finding; `snake_case` and `CamelCase` are read as words."""
    for name in MACHINE_NAMES:
        text = text.replace(name, "")
    words = HUMP.sub(" ", text.replace("_", " "))
    return [(words.count("\n", 0, match.start()) + 1, match[0]) for match in WORDS.finditer(words)]


def test_the_dialect_is_reworded():
    found: Counter[str] = Counter()
    places = []
    for path in [*files(".py", ".md", ".j2"), *sorted(ROOT.glob("*.md"))]:
        if not place(path).startswith(EXEMPT):
            here = dialect(path.read_text(encoding="utf-8"))
            found[place(path)] += len(here)
            places += [f"{place(path)}:{line}: {word}" for line, word in here]
    counts = "\n".join(f"{count:4} {name}" for name, count in found.most_common() if count)
    assert places == [], "\n".join(["reword:", *places, counts])
