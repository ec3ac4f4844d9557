"""Whether what a model learns from and what it is judged by are kept apart."""

from __future__ import annotations

from .cases import Case, LandmarkDataset, listed
from .finding import Finding, error, warning

# The column of cases.csv in which a dataset itself says which case an image repeats.
DECLARED_REPEAT = "duplicate_of"


def check_splits(dataset: LandmarkDataset) -> list[Finding]:
    """Subjects in two splits, and cases without a split among others that have one."""
    found = []
    cases_of: dict[str, list[Case]] = {}
    for case in dataset:
        if not case.attributes.get(DECLARED_REPEAT):
            cases_of.setdefault(case.subject, []).append(case)
    for subject, cases in cases_of.items():
        splits = list(dict.fromkeys(case.split for case in cases))
        if len(splits) > 1:
            what = (
                f"subject '{subject}' is in the splits {listed(splits)} (cases {listed(case.id for case in cases[:4])})"
            )
            advice = "keep all images of a person in one split, or results are too good"
            found.append(error("leakage", what, advice, case=cases[0].id, value=subject))
    without = [case.id for case in dataset if not case.split]
    if without and len(without) < len(dataset):
        what = f"{len(without)} cases are in no split, such as '{without[0]}'"
        found.append(warning("split", what, "give them one; nothing uses them now", value=len(without)))
    return found
