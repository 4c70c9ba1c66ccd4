"""Fine-tuning variants: their fields, their refusals, one hash a variant."""

import pytest

from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex.finetune import FinetuneConfig

KINDS = (
    "none",
    "dec",
    "dec_joint",
    "dec_undetached",
    "december",
    "rotation_dec",
    "rotation_december",
    "tell",
    "sec",
    "ldmgi",
    "mutual",
)
NEEDED = {"mutual": {"peer_seeds": [0, 1]}}


@pytest.mark.parametrize("kind", KINDS)
def test_resolved_parameters_give_the_variant_back(kind):
    config = FinetuneConfig.from_params({"kind": kind, **NEEDED.get(kind, {})})
    again = FinetuneConfig.from_params(config.resolved())
    assert again == config
    assert config_hash(again.resolved()) == config_hash(config.resolved())


def test_a_variant_holds_only_what_it_uses():
    assert FinetuneConfig(kind="none").resolved() == {"kind": "none"}
    assert set(FinetuneConfig(kind="dec").resolved()) == {
        "kind",
        "alpha",
        "kernel",
        "update_interval",
        "tolerance",
        "detach_target",
    }


def test_whether_the_target_is_detached_follows_the_kind():
    found = {kind: FinetuneConfig(kind=kind).detach_target for kind in KINDS[1:7]}
    assert found == {
        "dec": True,
        "dec_joint": True,
        "dec_undetached": False,
        "december": False,
        "rotation_dec": True,
        "rotation_december": False,
    }
    assert FinetuneConfig(kind="december", detach_target=True).resolved()["detach_target"] is True


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kind": "none", "beta": 1.0}, "none does not use beta"),
        ({"kind": "dec", "beta": 1.0}, "dec does not use beta; it takes alpha"),
        ({"kind": "december", "kernel": "scaled"}, "does not use kernel"),
        ({"kind": "dec_joint", "detach_target": False}, "take the kind dec_undetached"),
        ({"kind": "dec_undetached", "detach_target": True}, "take the kind dec_joint"),
        ({"kind": "rotation_dec", "kernel": "pca10"}, "principal axes do not roll"),
        ({"kind": "rotation_december", "shift": "best"}, "does not use shift"),
        ({"kind": "dec_joint", "shift": "best"}, "does not use shift"),
        ({"kind": "dec_joint", "beta": 0.0}, "should be above 0"),
        ({"kind": "december", "scale_min": 1.0, "scale_max": 1.0}, "should be below"),
        ({"kind": "december", "start": "consensus"}, "needs start_study"),
        ({"kind": "december", "start_study": "votes"}, "needs start_study"),
        (
            {"kind": "rotation_december", "start": "consensus", "start_study": "votes"},
            "shifts of orientation, which a consensus start does not have",
        ),
        ({"kind": "idec"}, "kind"),
        ({}, "kind"),
    ],
)
def test_what_does_not_belong_is_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig.from_params(params)
