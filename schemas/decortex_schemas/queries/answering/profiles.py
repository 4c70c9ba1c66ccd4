"""In-silico tuning of one study's clusters as facts: the index that tells them best, their own stimuli. Read only."""

from __future__ import annotations

from typing import Any, Protocol

from decortex_schemas.queries.answering.facts import ProfileFacts
from decortex_schemas.queries.basis import Row, defined
from decortex_schemas.queries.population import PROFILE, cluster_profiles


class Speaking(Protocol):
    """The family, method and K that speak for a study."""

    method: str
    k: int

    def has(self, row: Any) -> bool:
        """Whether a row is of the family."""
        ...


def profile(study: str, speaking: Speaking) -> ProfileFacts:
    """What is measured of the clusters that speak for a study whose tuning was asked for."""
    every = cluster_profiles(study, method=speaking.method, k=speaking.k)
    return profile_facts([row for row in every if speaking.has(row)])


def profile_facts(rows: list[Row]) -> ProfileFacts:
    """Facts of the rows of `cluster_profiles` of one family."""
    if not rows:
        return ProfileFacts()
    best = max(PROFILE, key=lambda name: _apart(rows, name))
    values, spreads = defined(rows, best), defined(rows, f"{best}_sd")
    whole = bool(values) and bool(spreads)
    return ProfileFacts(
        n_clusters=len(rows),
        n_networks=min(int(row["n_networks"]) for row in rows),
        index=best,
        lowest=min(values) if whole else None,
        highest=max(values) if whole else None,
        spread=sum(spreads) / len(spreads) if whole else None,
        n_discriminated=sum(int(row["n_discriminated"] or 0) for row in rows),
        n_stimuli=sum(int(row["n_stimuli"] or 0) for row in rows),
    )


def _apart(rows: list[Row], name: str) -> float:
    """Range over clusters in standard deviations over networks; -1 where either is not known."""
    values, spreads = defined(rows, name), defined(rows, f"{name}_sd")
    if not values or not spreads:
        return -1.0
    spread = sum(spreads) / len(spreads)
    return (max(values) - min(values)) / spread if spread > 0 else -1.0
