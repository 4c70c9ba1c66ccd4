"""Which views of a study's embeddings are asked for, and what they show. Read only, as `queries` is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import ConfigError
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import (
    Embedding,
    EmbeddingSpec,
    EmbeddingView,
    ModelSpec,
    Study,
    ViewRequest,
    ViewSpec,
    require_study,
)

VIEW_KEY = ("dataset", "model_spec_id", "model_seed", "embedding_spec_id", "view_spec_id", "view_seed")


@one_at_a_time
def views(study: str) -> list[dict[str, Any]]:
    """Every view asked of a study's embeddings, drawn or not.

    Returns
    -------
    list of dict
        The key of `EmbeddingView`; ``model``, ``embedding``, ``view`` (names), ``kind``, ``params``; ``done``; and,
        None where it is not drawn, ``n_neurons``, ``neighbours_kept``, ``distance_spearman`` and
        ``variance_share``.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [(row["kind"], row["done"]) for row in views("v4-sweep")]    # doctest: +SKIP
    """
    require_study(study)
    of_study = {"study": study}
    models = {int(r["model_spec_id"]): r["model_name"] for r in ModelSpec.to_dicts()}
    embeddings = {int(r["embedding_spec_id"]): r["embedding_name"] for r in EmbeddingSpec.to_dicts()}
    specs = {int(r["view_spec_id"]): r for r in ViewSpec.to_dicts()}
    asked = ((Study.Model & of_study) * (Study.Embedding & of_study) * (ViewRequest & of_study)).to_dicts()
    numbers = ("neighbours_kept", "distance_spearman", "variance_share")
    drawn = {
        tuple(row[name] for name in VIEW_KEY): row
        for row in ((EmbeddingView & asked).proj(*numbers) * Embedding.proj("n_neurons")).to_dicts()
    }
    rows = []
    for one in sorted(asked, key=lambda row: tuple(row[name] for name in VIEW_KEY)):
        key = {name: one[name] for name in VIEW_KEY}
        spec = specs[int(one["view_spec_id"])]
        row = drawn.get(tuple(key.values()), {})
        rows.append(
            {
                **key,
                "model": models[int(one["model_spec_id"])],
                "embedding": embeddings[int(one["embedding_spec_id"])],
                "view": spec["view_name"],
                "kind": spec["kind"],
                "params": spec["params"],
                "done": bool(row),
                **{name: row.get(name) for name in ("n_neurons", *numbers)},
            }
        )
    return rows


@one_at_a_time
def view_points(key: dict[str, Any]) -> NDArray[np.float32]:
    """Where one view puts the neurons.

    Parameters
    ----------
    key : dict
        Key of `EmbeddingView`, for example a row of `views`.

    Returns
    -------
    ndarray of float32, shape (n_neurons, 2)
        In the order of Dataset.Neuron; NaN for a neuron that the embedding excludes.

    Raises
    ------
    ConfigError
        If the view is not drawn.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> view = queries.views("v4-sweep")[0]    # doctest: +SKIP
    >>> view_points(view)    # doctest: +SKIP
    """
    found = EmbeddingView & {name: key[name] for name in VIEW_KEY if name in key}
    if len(found) != 1:
        raise ConfigError(
            f"the key names {len(found)} views that are drawn, not one; a whole key has {', '.join(VIEW_KEY)}. "
            "`decortex view show STUDY` lists what is asked for, `decortex work` draws it."
        )
    points: NDArray[np.float32] = found.fetch1("points")
    return points
