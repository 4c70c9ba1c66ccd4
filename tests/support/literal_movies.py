"""Networks of movies written out with torch modules, under the keys of the projects that train them; no test here."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from decortex.models import Network
from decortex.models.checkpoints import RebuildConfig, rebuild_network

HOEFLING = {"positive_features": True, "mean_scale": 6.0, "var_scale": 4.0}


def rebuilt(
    state: dict[str, Tensor], video: dict[str, object], *, output: str = "elu", shape: tuple[int, int, int]
) -> Network:
    config = RebuildConfig.from_params(
        {"video": {"frame_rate": 30.0, **video}, "output": output, "image_shape": list(shape)}
    )
    return rebuild_network(state, config, neuron_order_sha256="0" * 64)


# literal networks, of torch modules with the originals' keys


def norm_of(n: int, generator: torch.Generator) -> nn.BatchNorm3d:
    norm = nn.BatchNorm3d(n)
    for value in (norm.weight, norm.bias, norm.running_mean):
        value.data = torch.randn(n, generator=generator)
    norm.running_var = torch.rand(n, generator=generator) + 0.5
    return norm.eval()


def prefixed(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"core.{name}.{key}": value.detach().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def with_gaussian_readout(state: dict[str, Tensor], n: int, channels: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(9)
    return {
        **state,
        "readout.s._mu": torch.rand(1, n, 1, 2, generator=g) - 0.5,
        "readout.s.sigma": torch.rand(1, n, 2, 2, generator=g),
        "readout.s._features": torch.randn(1, channels, 1, n, generator=g),
        "readout.s.bias": torch.randn(n, generator=g),
    }


def gaussian_literal(maps: Tensor, state: dict[str, Tensor]) -> Tensor:
    frames = maps[0].transpose(0, 1)
    grid = state["readout.s._mu"].expand(len(frames), -1, -1, -1)
    read = functional.grid_sample(frames, grid, align_corners=True)[..., 0]
    features = state["readout.s._features"][0, :, 0]
    drive = (read * features).sum(dim=1) + state["readout.s.bias"]
    return functional.elu(drive) + 1


def factorized(
    g: torch.Generator, bias: bool, padded: bool
) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    space = nn.Conv3d(2, 4, (1, 5, 5), bias=bias, padding=(0, 2, 2) if padded else 0)
    time = nn.Conv3d(4, 4, (6, 1, 1), bias=bias, dilation=(2, 1, 1))
    space1 = nn.Conv3d(4, 3, (1, 3, 3), bias=bias, padding=(0, 1, 1) if padded else 0)
    time1 = nn.Conv3d(3, 3, (3, 1, 1), bias=bias)
    norms = norm_of(4, g), norm_of(3, g)
    modules = {
        "features.layer0.conv_spatial": space,
        "features.layer0.conv_temporal": time,
        "features.layer0.norm": norms[0],
        "features.layer1.conv_spatial_1": space1,
        "features.layer1.conv_temporal_1": time1,
        "features.layer1.norm": norms[1],
    }
    return modules, lambda x: functional.elu(
        norms[1](time1(space1(functional.elu(norms[0](time(space(x)))))))
    )


class Factor(nn.Module):
    """neuralpredictors' Scale3DLayer and Bias3DLayer: one number per channel."""

    def __init__(self, name: str, n: int, g: torch.Generator) -> None:
        super().__init__()
        self.name = name
        self.register_parameter(name, nn.Parameter(torch.randn(1, n, 1, 1, 1, generator=g)))

    def forward(self, x: Tensor) -> Tensor:
        own = self.get_parameter(self.name)
        return x * own if self.name == "scale" else x + own


def dilated(g: torch.Generator) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    """Spread taps in space, ReLU, strides; layers with a scale behind the norm, a bias behind a plain one, no norm."""
    space = nn.Conv3d(2, 4, (1, 3, 3), dilation=(1, 2, 2), padding=(0, 1, 1))
    time = nn.Conv3d(4, 4, (3, 1, 1), dilation=(2, 1, 1))
    space1, time1 = nn.Conv3d(4, 3, (1, 3, 3), stride=(1, 2, 2)), nn.Conv3d(3, 3, (3, 1, 1))
    space2, time2 = nn.Conv3d(3, 3, (1, 1, 1)), nn.Conv3d(3, 3, (2, 1, 1))
    affine, plain = norm_of(4, g), nn.BatchNorm3d(3, affine=False).eval()
    plain.running_mean, plain.running_var = torch.randn(3, generator=g), torch.rand(3, generator=g) + 0.5
    scale, bias = Factor("scale", 4, g), Factor("bias", 3, g)
    modules = {
        "features.layer0.conv_spatial": space,
        "features.layer0.conv_temporal": time,
        "features.layer0.norm": affine,
        "features.layer0.scale": scale,
        "features.layer1.conv_spatial_1": space1,
        "features.layer1.conv_temporal_1": time1,
        "features.layer1.norm": plain,
        "features.layer1.bias": bias,
        "features.layer2.conv_spatial_2": space2,
        "features.layer2.conv_temporal_2": time2,
    }
    relu = functional.relu
    return modules, lambda x: relu(
        time2(space2(relu(bias(plain(time1(space1(relu(scale(affine(time(space(x))))))))))))
    )


def one_linear_layer(g: torch.Generator) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    """`Basic3dCore(layers=1, final_nonlin=False)`."""
    conv, norm = nn.Conv3d(2, 3, (4, 5, 5)), norm_of(3, g)
    return {"features.layer0.conv": conv, "features.layer0.norm": norm}, lambda x: norm(conv(x))


def basic(g: torch.Generator) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    one, two = nn.Conv3d(2, 4, (5, 5, 5), bias=True), nn.Conv3d(4, 3, (3, 3, 3), bias=True)
    norms = norm_of(4, g), norm_of(3, g)
    modules = {
        "features.layer0.conv": one,
        "features.layer0.norm": norms[0],
        "features.layer1.conv_1": two,
        "features.layer1.norm": norms[1],
    }
    return modules, lambda x: functional.elu(norms[1](two(functional.elu(norms[0](one(x))))))


class OpenRetinaCore(nn.Module):
    """A literal transcription of openretina's core wrapper with one of its convolutions."""

    def __init__(self, kind: str, padding: object, g: torch.Generator) -> None:
        super().__init__()
        self.kind, self.padding = kind, padding
        self.sizes = ((2, 4, 7, 5), (4, 3, 5, 3))
        self.tensors: dict[str, Tensor] = {}
        self.norms = []
        for number, (n_in, n_out, frames, side) in enumerate(self.sizes):
            stem = f"core.features.layer{number}"
            speed = torch.full((1,), 0.1)
            self.tensors[f"{stem}.conv._log_speed_default"] = speed
            if kind == "full":
                self.tensors[f"{stem}.conv.conv.weight"] = torch.randn(
                    n_out, n_in, frames, side, side, generator=g
                )
            elif kind == "separable":
                self.tensors[f"{stem}.conv.space_conv.weight"] = torch.randn(
                    n_out, n_in, 1, side, side, generator=g
                )
                self.tensors[f"{stem}.conv.time_conv.weight"] = torch.randn(
                    n_out, n_out, frames, 1, 1, generator=g
                )
            else:
                for name in ("sin_weights", "cos_weights"):
                    self.tensors[f"{stem}.conv.{name}"] = torch.randn(n_out, n_in, frames // 3, generator=g)
                self.tensors[f"{stem}.conv.weight_spatial"] = torch.randn(
                    n_out, n_in, 1, side, side, generator=g
                )
            norm = norm_of(n_out, g)
            self.norms.append(norm)
            self.tensors |= {f"{stem}.norm.{key}": value for key, value in norm.state_dict().items()}
            self.tensors[f"{stem}.bias.bias"] = torch.randn(1, n_out, 1, 1, 1, generator=g)

    def forward(self, x: Tensor) -> Tensor:
        for number, (_, _, frames, _) in enumerate(self.sizes):
            t = {
                key.split(f"layer{number}.", 1)[1]: value
                for key, value in self.tensors.items()
                if f"layer{number}." in key
            }
            padding = 0 if number == 0 else self.padding
            speed = torch.exp(t["conv._log_speed_default"])
            if self.kind == "full":
                x = functional.conv3d(x, t["conv.conv.weight"], padding=padding)
            elif self.kind == "separable":
                x = functional.conv3d(x, t["conv.space_conv.weight"], padding=padding)
                x = speed * functional.conv3d(x, t["conv.time_conv.weight"], padding=padding)
            else:
                time = torch.arange(frames, dtype=torch.float) - frames
                mask = 1 / (1 + torch.exp(-time - int(frames * 0.95) / speed))
                kernel = torch.zeros(*t["conv.sin_weights"].shape[:2], frames)
                for k in range(frames // 3):
                    phase = speed * time * 2 * math.pi / frames * k
                    kernel += t["conv.sin_weights"][..., k, None] * (mask * torch.sin(phase))
                    kernel += t["conv.cos_weights"][..., k, None] * (mask * torch.cos(phase))
                x = functional.conv3d(x, kernel[..., None, None] * t["conv.weight_spatial"], padding=padding)
            x = functional.elu(self.norms[number](x) + t["bias.bias"])
        return x


def openretina_mask(maps: Tensor, g: torch.Generator, n: int) -> tuple[dict[str, Tensor], Tensor]:
    """State of a Gaussian mask readout, and what it answers to maps."""
    _, channels, _, height, width = maps.shape
    ends = [side / max(height, width) for side in (height, width)]
    rows, columns = (torch.linspace(-end, end, side) for end, side in zip(ends, (height, width), strict=True))
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), 2)[None].repeat(n, 1, 1, 1)
    parts = {
        "mask_mean": 0.1 * torch.randn(n, 2, generator=g),
        "mask_log_var": torch.randn(n, generator=g) - 1,
        "features": torch.randn(1, channels, 1, n, generator=g),
        "scale_param": 1 + 0.1 * torch.randn(n, generator=g),
        "bias": torch.randn(n, generator=g),
        "grid": grid,
    }
    away = grid - (parts["mask_mean"] * HOEFLING["mean_scale"]).view(n, 1, 1, 2)
    variance = torch.exp((parts["mask_log_var"] * HOEFLING["var_scale"]).clamp(-20, 20)).view(-1, 1, 1)
    pdf = torch.exp(-0.5 * ((away**2).sum(-1) / (variance + 1e-8)).clamp(max=20))
    pdf = pdf / pdf.sum(dim=(1, 2), keepdim=True)
    y = torch.einsum("nctwh,whd->nctd", maps, pdf.permute(1, 2, 0))
    y = (y * parts["features"].clamp(min=0)).sum(1)
    answer = functional.softplus(y * parts["scale_param"] + parts["bias"])
    return {f"readout.s.{key}": value for key, value in parts.items()}, answer[0]
