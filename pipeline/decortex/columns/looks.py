"""What means the same wherever it is drawn: colours of clusters and null models, names and units of criteria of K."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Okabe & Ito (2008), which colour-blind readers tell apart, without yellow, which white swallows.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
# Of clusters and other categories, in this order; after seven the marker changes.
CLUSTER_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
# Of null models, on pages and in print.
NULL_COLOURS: Mapping[str, str] = MappingProxyType(
    {"gaussian": ORANGE, "t": SKY, "permuted": GREEN, "copula": PURPLE}
)
# Every criterion of K: what it is called, its unit, and the direction in which it speaks for a K.
CRITERIA: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "stability": ("stability", "ARI between refits, higher"),
        "valley_share": ("density valleys", "share of pairs, above ½"),
        "separated_groups": ("separated groups", "groups"),
        "silhouette": ("silhouette", "no unit, higher"),
        "prediction_strength": ("prediction strength", "share of pairs, ≥ .8"),
        "gap": ("gap", "nats, higher"),
        "bic": ("BIC", "nats times 2, lower"),
        "icl": ("ICL", "nats times 2, lower"),
        "held_out_likelihood": ("held-out likelihood", "nats per neuron, higher"),
        "calinski_harabasz": ("Calinski-Harabasz", "no unit, higher"),
        "davies_bouldin": ("Davies-Bouldin", "no unit, lower"),
        "seed_agreement": ("agreement between networks", "ARI, higher"),
        "method_agreement": ("agreement between methods", "ARI, higher"),
        "excess_stability": ("stability above the nulls", "smallest z, higher"),
    }
)


def criterion_words(name: str) -> tuple[str, str]:
    """Name, and unit with direction, of a criterion; one that is not registered keeps its name.

    Examples
    --------
    >>> criterion_words("bic")
    ('BIC', 'nats times 2, lower')
    """
    return CRITERIA.get(name, (name.replace("_", " "), ""))
