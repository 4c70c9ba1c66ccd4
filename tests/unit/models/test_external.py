"""Whose code a builder may run: the allowed module's own functions and classes, and nothing that it imports."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from decortex.errors import ConfigError
from decortex.models.checkpoints.external import build_network
from decortex.models.network_config import Geometry, SessionGeometry

GEOMETRY = Geometry(
    image_shape=(1, 8, 8), sessions=(SessionGeometry(name="a", n_neurons=3),), neuron_order_sha256=""
)
MODULE = """
import functools
import torch
from torch import load
from torch.nn import Linear
from pathlib import Path
renamed = load
bound = functools.partial(load, weights_only=False)
touch = Path.touch
class Own(torch.nn.Linear):
    def __init__(self, **_):
        super().__init__(2, 1, bias=False)
def build(**_):
    return Own()
"""


@pytest.fixture
def allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "lab_builders.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "lab_builders"
    sys.modules.pop("lab_builders", None)


class Payload:
    """Unpickled, it leaves a file."""

    def __init__(self, ran: Path) -> None:
        self.ran = ran

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.ran,)


@pytest.mark.parametrize("name", ["load", "renamed", "bound", "touch", "Linear", "torch", "functools"])
def test_what_the_module_imports_is_not_called(allowed: str, tmp_path: Path, name: str) -> None:
    ran = tmp_path / "ran"
    torch.save(Payload(ran), tmp_path / "evil.pth")
    config = {"f": str(tmp_path / "evil.pth"), "weights_only": False}
    with pytest.raises(ConfigError, match=r"is only imported there|has no function"):
        build_network(f"{allowed}:{name}", config, {}, GEOMETRY, seed=0, allowed={allowed})
    assert not ran.exists()


@pytest.mark.parametrize("name", ["Own", "build"])
def test_its_own_functions_and_classes_are(allowed: str, name: str) -> None:
    state = {"weight": torch.ones(1, 2)}
    built = build_network(f"{allowed}:{name}", {}, state, GEOMETRY, seed=0, allowed={allowed})
    assert torch.equal(built.module.state_dict()["weight"], state["weight"])


def test_a_module_that_is_allowed_opens_no_other(allowed: str) -> None:
    assert isinstance(functools, types.ModuleType)
    with pytest.raises(ConfigError, match="which this process does not run"):
        build_network("torch.serialization:load", {}, {}, GEOMETRY, seed=0, allowed={allowed})
