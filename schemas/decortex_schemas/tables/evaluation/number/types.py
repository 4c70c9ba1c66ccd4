"""The number of types in every embedding, on neurons held out from all choices, with its tree of splits."""

from __future__ import annotations

from typing import Any

import datajoint as dj
import numpy as np

from decortex.evaluation import splits
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.embeddings import Embedding, array_sha256, load_embedding
from decortex_schemas.tables.evaluation.scored import animals_of
from decortex_schemas.tables.specs import SplitSpec
from decortex_schemas.tables.studies import Study

# Folds, starts and samples of the count; a setting for all rows, so that any two embeddings are judged alike.
TYPES_SEED = 0


@schema
class TypeCount(Computation):
    """How many types of neurons stand apart in one embedding, if any; needs no clustering method and no K."""

    version = 2  # 1: prisms between subclusters were counted too, at a level of .02

    definition = f"""
    # Number of types of neurons that stand apart
    -> Embedding
    -> SplitSpec
    ---
    types_status : varchar(16)       # 'types', 'none', 'undecided' (too few neurons)
    n_types = null : int16
    at_least : bool                  # three or more that rest on a single level
    p_two = null : float64           # of 'one type', at two groups
    p_smallest = null : float64      # of all levels: what was nearest to a split
    n_neurons : int32                # counted, without those that the embedding excludes
    n_deciding : int32               # behind the decision: equal rows once, outliers set aside, at most a sample
    n_set_aside : int32              # far from all others
    n_animals : int32                # whole animals are held out; with one animal neurons are
    labels : <blob>                  # int16[n_neurons of the dataset]; -1: excluded or set aside
    labels_sha256 : char(64)
    {STAMP}
    """

    class Level(dj.Part):
        """Test of one number of types against every smaller one."""

        definition = """
        -> master
        n_groups : int16
        ---
        p : float64
        passed : bool
        n_between = null : float64       # held-out neurons on the path of the weaker boundary, at its least dense point
        n_beside = null : float64        # and beside it
        fold_share = null : float64      # folds that have this boundary
        """

    class Split(dj.Part):
        """One split of the tree of types, coarsest first."""

        definition = """
        -> master
        split : int16
        ---
        n_groups : int16                 # after this split
        left_types : json
        right_types : json
        n_left : int32
        n_right : int32
        p : float64
        depth = null : float64           # density between over density beside
        """

    @property
    def key_source(self) -> Any:
        """Every embedding that a study asks for, under every specification."""
        asked = Study.Model.proj() * Study.Embedding.proj()
        return Embedding.proj() * SplitSpec.proj() & asked

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digest, excluded neurons and parameters."""
        sha256, excluded = (Embedding & key).fetch1("embedding_sha256", "excluded")
        return sha256, excluded, (SplitSpec & key).fetch1("params")

    def compute(
        self, key: dict[str, Any], sha256: str, excluded: dict[str, str], params: dict[str, Any]
    ) -> Made:
        """Count on held-out neurons, by animal where there are several."""
        x = load_embedding(key)
        included = np.setdiff1d(np.arange(len(x)), np.array([int(i) for i in excluded], dtype=np.int64))
        animals = animals_of(key["dataset"])[included]
        n_animals = len(np.unique(animals))
        found = splits.count_types(
            x[included],
            donors=animals if n_animals > 1 else None,
            seed=TYPES_SEED,
            config=splits.SplitConfig.from_params(params),
        )
        labels = np.full(len(x), -1, dtype=np.int16)
        labels[included] = found.labels
        levels = [level_row(level) for level in found.levels]
        row = {
            "types_status": found.status,
            "n_types": found.n_types,
            "at_least": found.at_least,
            "p_two": next((level.p for level in found.levels if level.n_types == 2), None),
            "p_smallest": min((level.p for level in found.levels), default=None),
            "n_neurons": len(included),
            "n_deciding": found.n_deciding,
            "n_set_aside": len(found.set_aside),
            "n_animals": n_animals,
            "labels": labels,
            "labels_sha256": array_sha256(labels),
        }
        return Made(
            row, {"Level": levels, "Split": [split_row(i, one) for i, one in enumerate(found.splits)]}
        )


def level_row(level: splits.Level) -> dict[str, Any]:
    """Columns of one number of types."""
    weakest = max(level.boundaries, key=lambda boundary: boundary.p, default=None)
    return {
        "n_groups": level.n_types,
        "p": level.p,
        "passed": level.passed,
        "n_between": None if weakest is None else weakest.path.n_between,
        "n_beside": None if weakest is None else weakest.path.n_beside,
        "fold_share": None if weakest is None else weakest.fold_share,
    }


def split_row(index: int, split: splits.Split) -> dict[str, Any]:
    """Columns of one split."""
    return {
        "split": index,
        "n_groups": split.level,
        "left_types": [int(one) for one in split.left],
        "right_types": [int(one) for one in split.right],
        "n_left": split.n_left,
        "n_right": split.n_right,
        "p": split.p,
        "depth": split.valley.depth,
    }
