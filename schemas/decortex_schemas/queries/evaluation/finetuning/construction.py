"""What agrees, or differs alike, because of how it was made: one start, mutual learning, one control. Read only."""

from __future__ import annotations

from typing import Any

from decortex_schemas.queries.basis import Row
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import FinetuneSpec, Study, agrees_by_construction, require_study

_SOURCES = {"consensus": "the vote of study {}", "shared": "the shared labelling of study {}"}


@one_at_a_time
def by_construction(study: str) -> list[Row]:
    """Say which fine-tunings make networks agree by construction, and which are judged by one control.

    Parameters
    ----------
    study : str
        Its name.

    Returns
    -------
    list of dict
        ``kind``: 'start' (all networks start from one partition, so that they agree however good it is), 'peers' (they
        learnt from each other), each one row per fine-tuning; or 'control' (several fine-tunings continue from the same
        starts and have one control per network: their states 'start' and 'control' are the same rows, and their
        differences from it are not independent), one row per control. ``finetunings``: their names. ``sentence``: the
        same in words.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [row["sentence"] for row in by_construction("v4-dec")]    # doctest: +SKIP
    """
    require_study(study)
    asked = (FinetuneSpec & (Study.Finetuning & {"study": study}).proj() & "kind <> 'none'").to_dicts(
        order_by="finetune_id"
    )
    rows: list[Row] = []
    for row in asked:
        params = row["params"]
        if params["kind"] == "mutual":
            rows.append(
                {
                    "kind": "peers",
                    "finetunings": [row["finetune"]],
                    "sentence": f"{row['finetune']}: networks learnt from each other (seeds "
                    f"{', '.join(map(str, params['peer_seeds']))}, round {params['round']}), so that they agree by "
                    "construction; judge them by known types, and by what the same does to surrogates without types.",
                }
            )
        elif agrees_by_construction(params):
            source = _SOURCES[params["start"]].format(params["start_study"])
            rows.append(
                {
                    "kind": "start",
                    "finetunings": [row["finetune"]],
                    "sentence": f"{row['finetune']}: networks were fine-tuned from one partition ({source}) and agree "
                    "by construction; judge them by known types, not by their agreement.",
                }
            )
    controls: dict[tuple[Any, Any], list[str]] = {}
    for row in asked:
        controls.setdefault((row["schedule_id"], row["control_seed"]), []).append(row["finetune"])
    for names in controls.values():
        if len(names) > 1:
            rows.append(
                {
                    "kind": "control",
                    "finetunings": names,
                    "sentence": f"{', '.join(names)}: one control per network judges them all, so that their starts "
                    "and controls are the same rows and their differences from it rise and fall together.",
                }
            )
    return rows
