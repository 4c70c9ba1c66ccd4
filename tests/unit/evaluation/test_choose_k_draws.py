"""Which surrogates a choice of K draws: the decision of all, on fewer; the same bits on any number of threads."""

import os
import runpy
from collections import Counter
from concurrent.futures import Future

import numpy as np
import pytest
from programs import program, run_program

from decortex.errors import InputError
from decortex.evaluation.agreement import Clusterer
from decortex.evaluation.selection import CriterionValue, SelectionConfig, choose_k, decide_k
from decortex.evaluation.selection.criteria import CountCriteria
from decortex.evaluation.selection.null_draws import NullDraws
from decortex.threads import n_cores

GRID = (2, 3, 4, 5, 6)
QUICK = SelectionConfig(null_criteria=("stability",), n_references=2, n_splits=1, n_resamples=0)


def changed(config, **how):
    return SelectionConfig.from_params({**config.resolved(), **how})


class Invented(NullDraws):
    """Values of surrogates from a table in place of clusterings; counts how many are asked for."""

    def invent(self, rng):
        # Few or no surrogates of a K reach a stability of .8: some K are above all nulls, some are not.
        self.level = {k: rng.choice([0.5, 0.78, 0.9]) for k in GRID}
        self.asked = Counter()
        self.noise = 0.01 * rng.standard_normal((len(self.config.nulls), self.config.n_surrogates, len(GRID)))
        return self

    def _values(self, kind, b, wanted):
        found = []
        for k in wanted:
            stability = float(self.level[k] + self.noise[self.config.nulls.index(kind), b, GRID.index(k)])
            found.append(CriterionValue("stability", k, stability, None, None, 10, "ok"))
            self.asked[k] += 1
        return found


def invented_criteria(rng):
    found = []
    for k in GRID:
        status = rng.choice(["ok", "ok", "ok", "ok", "trivial"])
        own = {
            "stability": 0.8 if status == "ok" else None,
            "valley_share": rng.choice([0.2, 0.5, 0.7, 1.0]),
            "separated_groups": rng.choice([1.5, 2.0, 2.5, 3.0, 4.0, 5.75]),
            "fragmented": float(rng.random() < 0.2),
        }
        values = [
            CriterionValue(name, k, value, None, None, 10, status if value is None else "ok")
            for name, value in own.items()
        ]
        found.append(CountCriteria(k, 10, "ok", tuple(values), ()))
    return found


def at_once(call, *arguments):
    """Stands for threads: what is submitted is done before anything else is."""
    done = Future()
    done.set_result(call(*arguments))
    return done


def test_surrogates_for_the_decision_alone_decide_as_all_surrogates_do():
    """Against the rule with every surrogate, over 200 invented curves that reach each of its reasons."""
    reasons, spared = Counter(), 0
    for seed in range(200):
        criteria = invented_criteria(np.random.default_rng(seed))
        values = [value for one in criteria for value in one.values]
        decisions = []
        for stop_early in (False, "decision"):
            config = changed(QUICK, stop_early=stop_early, nulls=["gaussian", "copula"])
            # Both invent the same values.
            draws = Invented(np.zeros((10, 1)), None, Clusterer("kmeans", {}), config, criteria, at_once)
            draws.invent(np.random.default_rng([seed, 1]))
            left = ()
            if stop_early:
                left = draws.draw_for_decision(GRID, lambda _: None)
                spared += 2 * 19 * len(GRID) - sum(draws.asked.values())
                assert not set(left) & set(draws.asked)
            else:
                draws.draw(GRID, lambda _: None)
                assert set(draws.asked.values()) == {2 * 19}
            decisions.append(decide_k(values, draws.excesses(), config, not_judged=left))
        whole, fewer = decisions
        assert (fewer.k, fewer.reason) == (whole.k, whole.reason), seed
        for one, other in zip(whole.support, fewer.support, strict=True):
            if "not_judged" not in other.reasons:
                assert one.supported == other.supported
        reasons[whole.reason] += 1
    assert set(reasons) == {
        "supported",
        "not_above_nulls",
        "no_valleys",
        "neither",
        "never_both",
        "fragmented",
    }
    assert spared > 0.5 * 200 * 2 * 19 * len(GRID)


def test_a_choice_without_config_leaves_out_k_that_cannot_be_the_answer():
    rng = np.random.default_rng(1)
    x = 8 / np.sqrt(2) * np.eye(6)[:4][np.arange(100) % 4] + rng.normal(size=(100, 6))
    fewer, whole = (
        choose_k(x, counts=(3, 4, 5, 6), config=changed(QUICK, stop_early=stop, n_surrogates=5), n_init=1)
        for stop in ("decision", False)
    )
    assert (fewer.decision.k, fewer.decision.reason) == (whole.decision.k, whole.decision.reason)
    assert fewer.decision.k == 4
    assert any("not_judged" in one.reasons for one in fewer.decision.support)
    assert len(fewer.excesses) < len(whole.excesses)
    # What was drawn is what the whole choice drew.
    drawn = {(one.k, one.kind): one for one in whole.excesses}
    complete = [one for one in fewer.excesses if one.n_surrogates == 5]
    assert complete
    assert all(one == drawn[one.k, one.kind] for one in complete)


def test_the_same_bits_on_any_number_of_threads():
    x = np.random.default_rng(2).normal(size=(80, 3))
    config = changed(QUICK, stop_early="decision", n_surrogates=4)
    one, three = (choose_k(x, counts=(2, 3), config=config, n_init=1, n_threads=n) for n in (1, 3))
    assert one.criteria == three.criteria
    assert one.excesses == three.excesses
    assert one.decision == three.decision
    assert one.types.levels == three.types.levels


def test_the_same_bits_whatever_cores_the_libraries_may_take(capsys):
    """Sums that OpenMP or BLAS share among cores differ in the last digits; a choice computes on one core each."""
    runpy.run_path(program("choose_k_of_noise")[1])
    here = capsys.readouterr().out
    others = "4" if n_cores() == 1 else "1"
    there = run_program(
        "choose_k_of_noise",
        environment={**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), others)},
    )
    assert "stability" in here
    assert there.stdout.decode() == here


def test_faults_are_told_before_anything_is_drawn():
    x = np.random.default_rng(4).normal(size=(60, 2))
    steps = []
    with pytest.raises(InputError, match="of one donor"):
        choose_k(x, counts=(2,), donors=["one"] * 60, progress=lambda done, _all: steps.append(done))
    assert max(steps) <= 2
    with pytest.raises(InputError, match="n_threads should be at least 1, got 0"):
        choose_k(x, counts=(2,), n_threads=0)
