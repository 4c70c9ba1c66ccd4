"""A refused configuration says in our words where, what was expected and what came, however it was built."""

import importlib
import pkgutil

import pytest

import decortex
import decortex_ops
import decortex_schemas
from decortex.clustering import method_config
from decortex.config import Config
from decortex.errors import ConfigError

PYDANTIC = (
    "Input should",
    "Value error",
    "valid ",
    "something else",
    "validation error",
    "pydantic",
    "Assertion",
)
HOSTILE = (
    None,
    "",
    "x",
    True,
    -1,
    0,
    1.5,
    -1e300,
    2**70,
    [],
    [[]],
    [None],
    ["x", "x"],
    {},
    {"x": 1},
    {"kind": "x"},
    "x" * 500,
)


def every_config() -> list[type[Config]]:
    """All configurations of the three packages."""
    for package in (decortex, decortex_schemas, decortex_ops):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".dashboard" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found, left = [], [Config]
    while left:
        below = left.pop().__subclasses__()
        found += below
        left += below
    return sorted(
        (one for one in found if one.__module__.startswith("decortex")), key=lambda one: one.__qualname__
    )


def test_no_configuration_answers_in_the_words_of_the_library():
    configs = every_config()
    assert len(configs) > 30
    told = {}
    for config in configs:
        for name in (*config.model_fields, "no_such_name"):
            for value in HOSTILE:
                try:
                    config.from_params({name: value})
                except ConfigError as error:
                    told[str(error)] = error.__cause__
    assert len(told) > 1000
    assert [message for message in told if any(word in message for word in PYDANTIC)] == []
    assert set(told.values()) == {None}


@pytest.mark.parametrize(
    ("method", "params", "told"),
    [
        ("kmeans", {"n_init": 0}, "n_init: should be at least 1 (got 0)"),
        ("kmeans", {"n_init": 1.5}, "n_init: should be a whole number (got 1.5)"),
        (
            "gmm",
            {"covariance": "ful"},
            "covariance: should be 'diag', 'full', 'tied' or 'spherical' (got 'ful')",
        ),
        ("gmm", {"n_inits": 3}, "n_inits: there is no such name; did you mean 'n_init'? (got 3)"),
        ("sec", {"gamma": 0.0}, "gamma: should be above 0 (got 0.0)"),
        ("leiden", {"resolution": "q"}, "resolution: should be a number or 'searched' (got 'q')"),
        ("tmixture", {"nu": 0.1}, "these parameters: nu should be 'estimated' or at least 0.5, but is 0.1."),
    ],
)
def test_a_fault_says_place_expectation_and_value(method, params, told):
    with pytest.raises(ConfigError) as error:
        method_config(method, params)
    assert told in str(error.value)


def test_a_constructor_refuses_in_the_same_words():
    config = type(method_config("kmeans"))
    with pytest.raises(ConfigError, match=r"n_init: should be at least 1 \(got 0\)"):
        config(n_init=0)
    assert config(n_init=3).n_init == 3


def test_a_long_value_is_cut():
    with pytest.raises(ConfigError) as error:
        method_config("kmeans", {"n_init": "x" * 100_000})
    assert len(str(error.value)) < 400
