"""From counts to p: against the binomial distribution, and what donors change."""

import numpy as np
import pytest
from scipy.stats import binom

from decortex.evaluation.splits import SplitConfig
from decortex.evaluation.splits.evidence import boundary, can_decide, valley_count, valley_p

CONFIG = SplitConfig()


@pytest.mark.parametrize(("between", "beside"), [(0, 1), (3, 9), (40, 41), (12, 3), (0, 500)])
def test_p_of_whole_counts_is_the_binomial_one(between, beside):
    assert valley_p(between, beside) == pytest.approx(binom.cdf(between, between + beside, 0.5), rel=1e-9)


def test_without_neurons_beside_there_is_no_evidence():
    assert valley_p(0, 0) == 1
    assert valley_p(5.0, 0.0) == 1


def test_one_donor_alone_makes_no_valley():
    even = valley_count(np.array([[0.0, 10], [0, 10], [0, 10]]), CONFIG)
    single = valley_count(np.array([[0.0, 30], [0, 0], [0, 0]]), CONFIG)
    assert even.n_beside == single.n_beside == 30
    assert even.p == pytest.approx(binom.cdf(0, 20, 0.5))
    assert single.p == 1


def test_a_shallow_valley_is_none_however_many_neurons():
    assert valley_p(8000, 10_000) < 1e-40
    assert valley_count(np.array([[8000.0, 10_000]]), CONFIG).p == 1


def test_a_prism_counts_with_the_paths_consent_and_a_path_alone_at_a_stricter_level():
    def judged(path, centres, share=1.0):
        return boundary(np.array([[path, centres]], dtype=float), share, CONFIG)

    clear, none, weak = (0, 20), (15, 15), (6, 16)
    assert judged(clear, none).p == pytest.approx(CONFIG.path_factor * judged(clear, none).path.p)
    # A path that sees no valley consents to nothing that would pass.
    assert CONFIG.alpha < judged(none, clear).p == pytest.approx(1 / CONFIG.path_consent)
    both = judged(weak, clear)
    assert CONFIG.alpha > both.p == pytest.approx(both.path.p / CONFIG.path_consent)
    assert judged(clear, weak).p == pytest.approx(CONFIG.path_factor * judged(clear, weak).path.p)
    assert judged(none, none).p == 1
    assert judged(clear, clear, share=0.4).p == 1


def test_too_few_neurons_beside_decide_nothing():
    few, enough = (boundary(np.array([[[0, n], [0, n]]], dtype=float), 1.0, CONFIG) for n in (4, 5))
    assert not can_decide(few, CONFIG)
    assert can_decide(enough, CONFIG)
