"""Which rows speak for a study: its first family and method, at one K. Read only.

Fixed before the numbers are seen: the K that the rule for K supports, else one that the plan fine-tunes, else the
middle one. For a user's own table it is the number of types that stand apart, as `decortex.analyse` takes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from decortex.analysis import chosen_k
from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex.evaluation.splits import SplitConfig
from decortex_schemas.queries.answering.facts import Sample
from decortex_schemas.queries.answering.samples import study_sample
from decortex_schemas.queries.basis import Names, Row
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.queries.evaluation import best_k, choosing_study
from decortex_schemas.tables import ClusteringMethod, Dataset, FinetuneSpec, FrozenStudy, SplitSpec, Study
from decortex_schemas.tables.evaluation import TypeCount

_FAMILY = ("dataset", "model_spec_id", "embedding_spec_id")


@one_at_a_time
def reference(study: str, k: int | None = None) -> Row | None:
    """Which rows speak for a study in `answers`.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.
    k : int, optional
        Number of clusters that is asked for; default: the one that speaks.

    Returns
    -------
    dict or None
        ``dataset``, ``model_spec_id``, ``embedding_spec_id``, ``method``, ``method_id``, ``k`` and ``finetune_id`` (of
        'none'); None where the study names no network, method or K above 1.

    Raises
    ------
    ConfigError
        If the study has no such K.

    Examples
    --------
    >>> reference("v4-sweep")    # doctest: +SKIP
    """
    found = speaking(study, study_sample(study), k)
    return None if found is None else found.group


class Reference:
    """The family, method and K that speak for a study.

    Parameters
    ----------
    family, method : mapping
        ``dataset``, ``model_spec_id`` and ``embedding_spec_id``; row of `ClusteringMethod`.
    k : int
    n_types : int or None
        Types that stand apart in a table; None where none do, or nobody counted them.
    """

    def __init__(
        self, family: Mapping[str, Any], method: Mapping[str, Any], k: int, n_types: int | None
    ) -> None:
        label = Names().of({**family, **method, "k": k, "finetune_id": _none()})
        self.family = dict(family)
        self.method = str(method["method_name"])
        self.method_key = {name: method[name] for name in ("method", "method_id")}
        self.k = k
        self.n_types = n_types
        self.names = {name: label[name] for name in ("dataset", "model", "embedding")}

    @property
    def group(self) -> Row:
        """Key of the partitions without fine-tuning that differ in their seeds alone."""
        return {**self.family, **self.method_key, "k": self.k, "finetune_id": _none()}

    def has(self, row: Mapping[str, Any], **also: Any) -> bool:
        """Whether a row of a question is of the family, and has these values."""
        return all(row[name] == value for name, value in {**self.names, **also}.items())

    def here(self, rows: Sequence[Row], **also: Any) -> list[Row]:
        """Rows of the reference method and K."""
        return [row for row in rows if self.has(row, method=self.method, k=self.k, **also)]


def speaking(study: str, sample: Sample, k: int | None = None) -> Reference | None:
    """The rows that speak for a study; None where it names no network, method or K above 1.

    Raises
    ------
    ConfigError
        If the study has no such K.
    """
    of = {"study": study}
    asked = ((Study.Model & of) * (Study.Embedding & of)).to_dicts(order_by=_FAMILY)
    methods = (ClusteringMethod & (Study.Method & of)).to_dicts(order_by="method_id")
    counts = sorted(int(one) for one in (Study.Count & of & "k > 1").to_arrays("k"))
    if k is not None and k not in counts:
        known = ", ".join(map(str, counts)) or "none above 1"
        raise ConfigError(f"study {study!r} has no K = {k}; it has K = {known}.")
    if not asked or not methods or not counts:
        return None
    family = {name: asked[0][name] for name in _FAMILY}
    method = methods[0]
    n_types = _n_types(family) if sample.of_table else None
    if k is None:
        k = _usual_k(study, sample, {**family, "method_id": method["method_id"]}, counts, n_types)
    return Reference(family, method, k, n_types)


def _usual_k(
    study: str, sample: Sample, key: Mapping[str, Any], counts: Sequence[int], n_types: int | None
) -> int:
    tuned = Study.Finetuning * FinetuneSpec.proj("kind") & {"study": study} & "kind != 'none'"
    own = sorted({int(k) for k in (tuned & {"method_id": key["method_id"]}).to_arrays("k")})
    chosen = choices_of_k(study, key)
    if sample.frozen and chosen and chosen[0]["decision"] is not None:
        return int(chosen[0]["decision"])
    if sample.of_table:
        n_neurons = int((Dataset & {"dataset": key["dataset"]}).fetch1("n_neurons"))
        for n in (n_types, None):  # so many types may be beyond the K of the plan
            k, _ = chosen_k(n, asked=None, n_neurons=n_neurons)
            if k in counts:
                return k
    return (own or counts)[len(own or counts) // 2]


def choices_of_k(study: str, key: Mapping[str, Any] | None = None) -> list[Row]:
    """Rows of `best_k`; none where nobody asked for a choice, or its study is not frozen yet."""
    choosing = choosing_study(study)
    return best_k(study, key) if choosing is not None and len(FrozenStudy & {"study": choosing}) else []


def _n_types(family: Mapping[str, Any]) -> int | None:
    """Types that stand apart, by today's settings where these are counted, else by the latest."""
    rows = (TypeCount.proj("types_status", "n_types") * SplitSpec.proj("split_hash") & family).to_dicts(
        order_by="split_spec_id DESC"
    )
    today = config_hash(SplitConfig().resolved())
    rows.sort(key=lambda row: row["split_hash"] != today)
    if not rows or rows[0]["types_status"] != "types":
        return None
    return int(rows[0]["n_types"])


def _none() -> int:
    return int((FinetuneSpec & {"kind": "none"}).to_arrays("finetune_id")[0])
