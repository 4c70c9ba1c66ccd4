"""Which network of a file is read: several state dicts, any depth, wrappers, and shapes that contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from decortex.errors import CheckpointError
from decortex.models import Geometry, SessionGeometry
from decortex.models.checkpoints import (
    CheckpointReadout,
    RebuildConfig,
    build_network,
    load_tensors,
    read_checkpoint,
    rebuild_network,
    saved_tensors,
    tensors_of,
)

N, C = 5, 4
FROZEN: dict[str, Any] = torch.load(
    Path(__file__).parent / "frozen" / "published_networks.pt", weights_only=True
)


def state(value: float, session: str = "26872-17-20", core: float = 0.0) -> dict[str, Tensor]:
    """A network's tensors; every feature is `value`, so that an embedding tells where it came from."""
    return {
        "core.w": torch.full((3,), core),
        f"readout.{session}._mu": torch.zeros(1, N, 1, 2),
        f"readout.{session}._features": torch.full((1, C, 1, N), float(value)),
        f"readout.{session}.bias": torch.zeros(N),
    }


def prefixed(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in tensors.items()}


@pytest.fixture
def read(tmp_path: Path):
    def save_and_read(content: object, **options: Any) -> CheckpointReadout:
        torch.save(content, tmp_path / "weights.pt")
        return read_checkpoint(tmp_path / "weights.pt", **options)

    return save_and_read


SEVERAL = {
    "untrained first": {"init_state_dict": state(0), "state_dict": state(1)},
    "last and best": {"state_dict": state(1), "best_state_dict": state(2)},
    "weights and their average": {"model": state(1), "ema": {**state(2), "n_averaged": torch.tensor(3)}},
    "gradients first": {"grad": state(9), "state_dict": state(1)},
    "momentum is larger": {"model": state(1), "momentum": {**state(9), "extra": torch.zeros(1)}},
    "two networks in one dict": {**prefixed(state(1), "model."), **prefixed(state(2), "ema_model.module.")},
    "top and below": {**state(1), "ema": state(2)},
    "a list of members": [state(1), state(2)],
    "moments by name": {
        "model": state(1),
        "optimizer": {"state": {"exp_avg": state(3), "exp_avg_sq": state(4)}},
    },
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_networks_of_one_session_are_listed(read, name: str) -> None:
    with pytest.raises(
        CheckpointError, match=r"session '26872-17-20' occurs twice: .*mean \|feature\|.*--state-dict"
    ):
        read(SEVERAL[name])


@pytest.mark.parametrize(
    ("name", "chosen", "value"),
    [
        ("untrained first", "state_dict", 1),
        ("untrained first", "init_state_dict", 0),
        ("last and best", "best_state_dict", 2),
        ("weights and their average", "ema", 2),
        ("gradients first", "grad", 9),
        ("two networks in one dict", "model", 1),
        ("two networks in one dict", "ema_model", 2),
        ("top and below", ".", 1),
        ("top and below", "ema", 2),
        ("a list of members", "1", 2),
        ("moments by name", "model", 1),
        ("moments by name", "optimizer.state.exp_avg", 3),
    ],
)
def test_the_option_picks_one(read, name: str, chosen: str, value: int) -> None:
    found = read(SEVERAL[name], state_dict=chosen)
    np.testing.assert_array_equal(found.embedding, np.full((N, C), value, dtype=np.float32))
    assert found.sessions == ("26872-17-20",)


def test_an_option_that_picks_nothing_lists_what_there_is(read) -> None:
    with pytest.raises(
        CheckpointError, match=r"no state dict 'best' .*'state_dict' \(sessions.*'best_state_dict'"
    ):
        read(SEVERAL["last and best"], state_dict="best")
    with pytest.raises(CheckpointError, match="embedding_key is a whole path"):
        read({"feat": torch.ones(3, 2)}, state_dict="a", embedding_key="feat")


def test_different_sessions_over_one_core_are_all_taken(read) -> None:
    found = read({"mouseA": state(1, "A"), "mouseB": state(2, "B")})
    assert found.sessions == ("A", "B")
    assert found.embedding[:, 0].tolist() == [1.0] * N + [2.0] * N
    assert found.session.tolist() == ["A"] * N + ["B"] * N


def test_sessions_over_different_cores_are_not_mixed(read) -> None:
    content = {"mouseA": state(1, "A", core=1), "mouseB": state(2, "B", core=2)}
    with pytest.raises(CheckpointError, match=r"their cores differ.*different spaces.*state_dict='mouseA'"):
        read(content)
    assert read(content, state_dict="mouseB").sessions == ("B",)


def test_a_momentum_alone_is_no_network(read) -> None:
    with pytest.raises(
        CheckpointError, match=r"in 'optimizer\.momentum' alone, which by its name are no weights"
    ):
        read({"model": {"linear.weight": torch.ones(2, 2)}, "optimizer": {"momentum": state(0)}})


def test_gradients_of_another_session_are_not_added_to_the_weights(read) -> None:
    content = {"model": state(1, "A"), "grad": state(9, "B")}
    with pytest.raises(CheckpointError, match=r"'grad' by its name holds no weights.*state_dict='model'"):
        read(content)
    assert read(content, state_dict="model").sessions == ("A",)


BESIDE = {
    "loss as tensor": {"epoch": 3, "model_state_dict": state(1), "loss": torch.tensor(0.3)},
    "step as tensor": {"state_dict": state(1), "global_step": torch.tensor(7)},
    "random state": {"model": state(1), "rng_state": torch.get_rng_state()},
    "larger optimiser": {"model": state(1), "optimizer": {f"exp_avg.{i}": torch.zeros(2) for i in range(19)}},
    "optimiser by name": {
        "model": state(1),
        "optim": {"state": {k: {"exp_avg": v} for k, v in state(7).items()}},
    },
    "core and readouts apart": {
        "core": {f"l{i}.weight": torch.zeros(2) for i in range(9)},
        "readouts": {k: v for k, v in state(1).items() if k.startswith("readout")},
    },
    "a dict a module": {
        "core": {"w": torch.zeros(3)},
        "readout": {k.removeprefix("readout."): v for k, v in state(1).items() if k.startswith("readout")},
    },
    "a dict a session": {"readout": {"26872-17-20": {"_features": torch.ones(1, C, 1, N)}}},
    "two levels down": {"checkpoint": {"model": state(1), "epoch": 3}},
    "four levels down": {"a": {"b": [{"c": {"net": state(1)}}]}},
    "Lightning": {
        "state_dict": prefixed(state(1), "model."),
        "callbacks": {},
        "loops": {"fit_loop": {"n": 1}},
    },
    "DataParallel": prefixed(state(1), "module."),
    "compiled": prefixed(state(1), "_orig_mod."),
    "compiled and parallel in Lightning": {"state_dict": prefixed(state(1), "model._orig_mod.module.")},
    "wrapped readouts": {k.replace("readout.", "readout.module."): v for k, v in state(1).items()},
    "each readout compiled": {k.replace("17-20.", "17-20._orig_mod."): v for k, v in state(1).items()},
    "averaged alone": {"n_averaged": torch.tensor(2), **prefixed(state(1), "module.")},
}


@pytest.mark.parametrize("name", BESIDE)
def test_the_readout_is_found_whatever_lies_beside_it(read, name: str) -> None:
    found = read(BESIDE[name])
    assert found.sessions == ("26872-17-20",)
    np.testing.assert_array_equal(found.embedding, np.ones((N, C), dtype=np.float32))


def test_the_same_tensors_under_two_names_are_one_network(read) -> None:
    one = state(1)
    found = read({"state_dict": {**prefixed(one, "model."), **prefixed(one, "compiled._orig_mod.")}})
    np.testing.assert_array_equal(found.embedding, np.ones((N, C), dtype=np.float32))


def test_a_readout_of_one_recording_names_no_session(read) -> None:
    found = read({"core.w": torch.zeros(2), "module.readout._features": torch.ones(1, C, 1, N)})
    assert found.sessions == ("readout",)
    assert found.embedding.shape == (N, C)


def test_session_names_keep_their_dots_and_may_be_called_readout(read) -> None:
    assert read(state(1, "a.b.c")).sessions == ("a.b.c",)
    assert read(prefixed(state(1, "readout"), "model.")).sessions == ("readout",)


def test_two_copies_in_one_dict_are_refused(read) -> None:
    with pytest.raises(CheckpointError, match="two copies of one network in one dict"):
        read({**state(1), "readout.module.26872-17-20._features": torch.zeros(1, C, 1, N)})


def test_a_wrapped_network_is_rebuilt_as_the_bare_one(tmp_path: Path) -> None:
    case = FROZEN["sensorium"]
    content = {"epoch": 1, "net": prefixed(case["state"], "model._orig_mod."), "loss": torch.tensor(1.0)}
    torch.save(content, tmp_path / "w.pt")
    tensors = tensors_of(load_tensors(tmp_path / "w.pt"))
    config = RebuildConfig.from_params({"core": case["core"], "image_shape": list(case["images"].shape[1:])})
    network = rebuild_network(tensors, config, neuron_order_sha256="0" * 64)
    for session, expected in case["predicted"].items():
        torch.testing.assert_close(network(case["images"], session), expected, rtol=1e-5, atol=1e-5)


class Small(nn.Module):
    """What a builder of a lab returns."""

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.Linear(2, C)
        self.readout = nn.ModuleDict({"s": nn.Module()})
        self.readout["s"].features = nn.Parameter(torch.zeros(1, C, 1, N))

    def forward(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), N)


def build() -> nn.Module:
    return Small()


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "net._orig_mod.module."])
def test_a_builder_takes_the_tensors_by_its_own_names(tmp_path: Path, prefix: str) -> None:
    trained = Small()
    nn.init.constant_(trained.readout["s"].features, 3.0)
    torch.save(
        {"state_dict": prefixed(trained.state_dict(), prefix), "loss": torch.tensor(1.0)}, tmp_path / "w.pt"
    )
    saved = saved_tensors(load_tensors(tmp_path / "w.pt"))
    geometry = Geometry(
        image_shape=(1, 2, 2), sessions=(SessionGeometry(name="s", n_neurons=N),), neuron_order_sha256=""
    )
    built = build_network(f"{__name__}:build", {}, saved, geometry, seed=0, allowed={__name__})
    assert built.module.readout["s"].features.unique().tolist() == [3.0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": torch.ones(4, 6), "bias": torch.zeros(6)}, r"bias has 6 values for 4 neurons.*save features\.T"),
        ({"_features": torch.ones(1, 3, 1, 5), "bias": torch.zeros(6)}, "bias has 6 values for 5 neurons"),
        ({"_features": torch.ones(1, 3, 1, 5), "sigma": torch.zeros(1, 6, 2, 2)}, "sigma has 6 values for 5 neurons"),
        (
            {"_features": torch.ones(1, 3, 1, 5), "source_grid": torch.ones(6, 2)},
            "source_grid has 6 values for 5 neurons",
        ),
        ({"features": torch.ones(5, 3), "spatial": torch.ones(4, 2, 2)}, "spatial has 4 values for 5 neurons"),
        ({"feature_weights": torch.ones(3, 5), "mask_weights": torch.ones(9, 4)}, "mask_weights has 4 values for 5"),
        (
            {"features": torch.ones(1, 3, 1, 5), "mask_log_var": torch.ones(5), "mask_mean": torch.ones(7, 2)},
            "mask_mean has 7 values for 5 neurons",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("masks", ["free", "normalised"])
def test_every_tensor_of_a_session_agrees_on_its_neurons(
    read, changed: dict[str, Tensor], message: str, masks: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read({f"readout.s.{key}": value for key, value in changed.items()}, masks=masks)


@pytest.mark.parametrize("name", [name for name in sorted(FROZEN) if "state" in FROZEN[name]])
def test_published_layouts_agree_with_themselves(read, name: str) -> None:
    assert len(read(FROZEN[name]["state"]).embedding)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"neuron,feature\n1,2\n", "text file that begins with 'neuron,feature'"),
        (b"", "it is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file"),
        (b"\x93NUMPY" + bytes(50), "a .npy array"),
        (bytes(range(256)), "cut short, damaged or not a torch file"),
    ],
)
def test_other_files_are_called_what_they_are_without_torch_s_advice(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(tmp_path / "x.pt")
    assert "weights_only" not in str(caught.value)
