"""Networks built by the published packages, with what they predict: the oracle of tests/unit/models/test_rebuild.py.

Run it in an environment of its own, which decortex itself never needs:

    pip install --no-deps neuralpredictors==0.3.0 openretina==1.1.1
    python benchmarks/networks/published_networks.py tests/unit/models/frozen/published_networks.pt ../shared/data

The last argument is a folder that holds the two checkpoints of Sensorium 2022 (mouse_v1_sensorium); of these only
predictions are kept.
Weights are random, batch-norm statistics and biases as well, so that a mixed-up option shows.
"""

from __future__ import annotations

import collections
import collections.abc
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

HEIGHT, WIDTH = 14, 17
N_IMAGES = 3

# name -> (core options, readout class, readout options, neurons per session)
PREDICTOR = {"hidden_layers": 1, "hidden_features": 7, "final_tanh": True}
SENSORIUM = {"depth_separable": True, "stack": -1, "pad_input": False, "bias": False, "momentum": 0.9}
CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any], list[int]]] = {
    "sensorium": (SENSORIUM, "FullGaussian2d", {"grid_mean_predictor": PREDICTOR}, [4]),
    "one_neuron": (SENSORIUM, "FullGaussian2d", {}, [1]),
    "one_channel": ({**SENSORIUM, "hidden_channels": 1, "layers": 2}, "FullGaussian2d", {}, [3]),
    "one_of_both": ({**SENSORIUM, "hidden_channels": 1, "layers": 2}, "FullGaussian2d", {}, [1]),
    "many_sessions": (
        SENSORIUM,
        "FullGaussian2d",
        {"gauss_type": "isotropic"},
        [1 + i % 3 for i in range(32)],
    ),
    "shared_features": (
        {"stack": None, "pad_input": True, "bias": True},
        "FullGaussian2d",
        {"gauss_type": "uncorrelated", "shared_features": {"match_ids": np.array([5, 2, 2, 9, 5])}},
        [5],
    ),
    "deep_predictor": (
        SENSORIUM,
        "FullGaussian2d",
        {"grid_mean_predictor": {"hidden_layers": 0, "hidden_features": 7, "final_tanh": False}},
        [4],
    ),
    "shifter": (SENSORIUM, "FullGaussian2d", {"grid_mean_predictor": PREDICTOR}, [4, 2]),
    "skip": ({"stack": 1, "pad_input": True, "skip": 2, "hidden_kern": 3}, "Gaussian2d", {}, [3, 2]),
    "kernels": (
        {"stack": [2, 2], "pad_input": True, "hidden_kern": [5, 3], "linear": True},
        "Gaussian2d",
        {},
        [3],
    ),
    "strided": (
        {
            "stack": -1,
            "pad_input": False,
            "stride": 2,
            "hidden_dilation": 2,
            "elu_shift": (0.3, 0.2),
            "bias": True,
        },
        "Gaussian2d",
        {},
        [3],
    ),
    "pooled": (
        {"stack": None, "pad_input": True, "depth_separable": True, "n_se_blocks": 2, "se_reduction": 2},
        "PointPooled2d",
        {"pool_steps": 2, "pool_kern": 2},
        [3, 1],
    ),
    "point": (
        {"stack": -1, "pad_input": True, "final_nonlinearity": False},
        "PointPooled2d",
        {"pool_steps": 0, "pool_kern": 2},
        [4],
    ),
    "normalised_masks": ({"stack": -1, "pad_input": False}, "FullFactorized2d", {"normalize": True}, [3, 1]),
    "free_masks": (
        {"stack": -1, "pad_input": False, "batch_norm": False, "bias": True},
        "SpatialXFeatureLinear",
        {"normalize": False},
        [2],
    ),
    "offsets": (
        {
            "stack": -1,
            "pad_input": True,
            "independent_bn_bias": False,
            "batch_norm_scale": False,
            "bias": True,
        },
        "Gaussian2d",
        {},
        [2],
    ),
    "scales": (
        {"stack": -1, "pad_input": True, "independent_bn_bias": False, "bias": False},
        "Gaussian2d",
        {},
        [2],
    ),
}
SMALL = {"hidden_channels": 4, "input_kern": 5, "hidden_kern": 3, "layers": 3, "input_channels": 1}
READOUT = {"bias": True, "init_mu_range": 0.3, "init_sigma": 0.2, "init_range": 0.3, "init_sigma_range": 0.2}


def package(name: str) -> Any:
    """Import a module of neuralpredictors without its package's imports, which fail on Python 3.10 and later."""
    if "neuralpredictors" not in sys.modules:
        collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]
        sys.modules["torchvision"] = types.ModuleType("torchvision")
        found = importlib.util.find_spec("neuralpredictors")
        if found is None or found.origin is None:
            raise SystemExit(
                "neuralpredictors 0.3.0 is not here: pip install --no-deps neuralpredictors==0.3.0"
            )
        root = types.ModuleType("neuralpredictors")
        root.__path__ = [str(Path(found.origin).parent)]
        sys.modules["neuralpredictors"] = root
    return importlib.import_module(f"neuralpredictors.{name}")


def randomised(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw all weights and statistics anew, features and masks large enough to matter."""
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if not value.is_floating_point() or "filter" in name or name.endswith("source_grid"):
                continue
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0, generator=generator)
            elif value.ndim and not name.endswith(("_mu", ".mu", "grid", "sigma", "mask_log_var")):
                value.normal_(0.0, 1.0, generator=generator)
    return module.eval()


def neuralpredictors_case(name: str) -> dict[str, Any]:
    """One network of neuralpredictors: its state dict, images, and what it predicts for each session."""
    generator = torch.Generator().manual_seed(sorted(CASES).index(name))
    torch.manual_seed(0)
    core_options, readout_name, readout_options, counts = CASES[name]
    options = {**SMALL, **core_options}
    kind = "SE2dCore" if "n_se_blocks" in options or options.get("depth_separable") else "Stacked2dCore"
    core = getattr(package("layers.cores"), kind)(**options, gamma_input=0.0)
    images = torch.randn(N_IMAGES, 1, HEIGHT, WIDTH, generator=generator)
    maps = core.eval()(images)
    readouts = nn.ModuleDict()
    for place, n_neurons in enumerate(counts):
        own = {**READOUT, **readout_options}
        if "grid_mean_predictor" in own:
            own["source_grid"] = torch.randn(n_neurons, 2, generator=generator).numpy()
        readout = getattr(package("layers.readouts"), readout_name)
        readouts[f"{place}-a"] = readout(in_shape=list(maps.shape[1:]), outdims=n_neurons, **own)
    shifter = None
    pupil = torch.randn(N_IMAGES, 2, generator=generator) if name == "shifter" else None
    if pupil is not None:
        shifter = package("layers.shifters").MLPShifter(list(readouts), 2, 5, 3)
    encoder = package("layers.encoders").FiringRateEncoder(core, _Multi(readouts), shifter=shifter)
    randomised(encoder, generator)
    with torch.no_grad():
        predicted = {key: encoder(images, data_key=key, pupil_center=pupil) for key in readouts}
    state = {
        key.replace("readout.readouts.", "readout."): value for key, value in encoder.state_dict().items()
    }
    core_options = {key: value for key, value in options.items() if key != "input_channels"}
    return {
        "state": state,
        "images": images,
        "pupil": pupil,
        "core": {key: list(v) if isinstance(v, tuple) else v for key, v in core_options.items()},
        "masks": "normalised" if readout_options.get("normalize") else "free",
        "pool_kernel": readout_options.get("pool_kern"),
        "final_tanh": readout_options.get("grid_mean_predictor", {}).get("final_tanh", True),
        "predicted": predicted,
        "features": {key: _features(readouts[key], n) for key, n in zip(readouts, counts, strict=True)},
    }


class _Multi(nn.Module):
    """What MultiReadoutBase does: pick the session's readout."""

    def __init__(self, readouts: nn.ModuleDict) -> None:
        super().__init__()
        self.readouts = readouts

    def forward(self, maps: torch.Tensor, data_key: str, shift: torch.Tensor | None) -> torch.Tensor:
        """Predict one session."""
        predicted: torch.Tensor = self.readouts[data_key](maps, shift=shift)
        return predicted


def _features(readout: Any, n_neurons: int) -> torch.Tensor:
    """What the class itself takes for features, (n_neurons, n_features)."""
    features: torch.Tensor = readout.features.detach()
    return features if features.ndim == 2 else features.reshape(-1, n_neurons).T.contiguous()


def openretina_case(name: str) -> dict[str, Any]:
    """One readout of openretina; ``effective`` weights its core's maps without any mask scale of its own."""
    readouts = importlib.import_module(f"openretina.modules.readout.{name}")
    torch.manual_seed(1)
    shape, n_neurons = (3, 4, 5, 6), 4
    if name == "factorized_gaussian":
        readout = readouts.GaussianMaskReadout(shape, n_neurons, scale=True)
    else:
        readout = readouts.FactorizedReadout(
            shape, n_neurons, 0.1, 0.1, 0.1, shape[2:], True, init_scales=[(0.0, 0.5), (0.0, 0.5)]
        )
    randomised(readout, torch.Generator().manual_seed(2))
    maps = torch.randn(2, *shape)
    with torch.no_grad():
        return {
            "state": {f"readout.s.{key}": value for key, value in readout.state_dict().items()},
            "maps": maps,
            "predicted": readout(maps),
        }


def sensorium_case(path: Path, *, plus: bool) -> dict[str, Any]:
    """The published Sensorium network on crops of photographs: what its first neurons say."""
    torch.manual_seed(0)
    state = torch.load(path, map_location="cpu", weights_only=True)
    (session,) = {key.split(".")[1] for key in state if key.startswith("readout.")}
    n_neurons = len(state[f"readout.{session}.bias"])
    images = _photographs()
    if plus:  # behaviour: three constant channels
        images = torch.cat(
            [images, torch.randn(len(images), 3, 1, 1).expand(-1, 3, *images.shape[2:])], dim=1
        )
    core = package("layers.cores").SE2dCore(
        input_channels=images.shape[1], hidden_channels=64, input_kern=9, hidden_kern=7, layers=4, skip=0,
        final_nonlinearity=True, bias=False, momentum=0.9, pad_input=False, batch_norm=True, hidden_dilation=1,
        laplace_padding=None, input_regularizer="LaplaceL2norm", stack=-1, depth_separable=True, linear=False,
        attention_conv=False, hidden_padding=None, gamma_input=6.3831,
    )  # fmt: skip
    readout = package("layers.readouts").FullGaussian2d(
        in_shape=list(core.eval()(images).shape[1:]), outdims=n_neurons, bias=True, init_mu_range=0.3,
        init_sigma=0.1, gauss_type="full", source_grid=state[f"readout.{session}.source_grid"].numpy(),
        grid_mean_predictor={"hidden_layers": 1, "hidden_features": 30, "final_tanh": True},
    )  # fmt: skip
    shifter = package("layers.shifters").MLPShifter([session], 2, 5, 3) if plus else None
    encoder = package("layers.encoders").FiringRateEncoder(
        core, _Multi(nn.ModuleDict({session: readout})), shifter=shifter
    )
    encoder.load_state_dict(
        {key.replace("readout.", "readout.readouts."): value for key, value in state.items()}
    )
    pupil = torch.randn(len(images), 2) if plus else None
    with torch.no_grad():
        predicted = encoder.eval()(images, data_key=session, pupil_center=pupil)
    return {"images": images, "pupil": pupil, "predicted": predicted[:, :200].clone()}


def _photographs() -> torch.Tensor:
    """Six crops of scikit-learn's photographs, 36 x 64, z-scored together."""
    from sklearn.datasets import load_sample_images  # noqa: PLC0415  (no other case needs it)

    grey = np.stack(load_sample_images().images).mean(axis=3)
    crops = np.stack(
        [one[r : r + 144 : 4, c : c + 256 : 4] for one in grey for r, c in ((0, 0), (90, 300), (250, 150))]
    )
    return torch.from_numpy((crops - crops.mean()) / crops.std()).float()[:, None]


def main() -> None:
    """Write all cases into one file."""
    found: dict[str, Any] = {name: neuralpredictors_case(name) for name in CASES}
    for name in ("factorized_gaussian", "factorized"):
        found[f"openretina_{name}"] = openretina_case(name)
    folder = Path(sys.argv[2]) / "mouse_v1_sensorium"
    found["sensorium_2022"] = sensorium_case(folder / "sensorium_sota_model.pth", plus=False)
    found["sensorium_2022_plus"] = sensorium_case(folder / "sensorium_p_sota_model.pth", plus=True)
    torch.save(found, sys.argv[1])
    sys.stdout.write(f"{len(found)} networks, {Path(sys.argv[1]).stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
