"""Small folders as other projects publish them: the macaque V4 recordings' archives, and fnn's digital twins."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor


def scene(seed: int) -> np.ndarray:
    """Colour image with coarse structure, (112, 112, 3) uint8."""
    coarse = np.random.default_rng(seed).uniform(30, 220, size=(14, 14, 3))
    return np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> bytes:
    """An image as a file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def write_zip(path: Path, raws: list[bytes]) -> None:
    """An archive of images, and what a copy tool leaves in it."""
    with zipfile.ZipFile(path, "w") as archive:
        # out of order on purpose: presentation order is that of the names
        for place in reversed(range(len(raws))):
            # A member of its own date: archives of the same images are the same bytes.
            archive.writestr(zipfile.ZipInfo(f"image{place + 1:04d}.jpg"), raws[place])
        archive.writestr(zipfile.ZipInfo("__MACOSX/._image0001.jpg"), b"left by a copy tool")


def write_fnn(folder: Path, *, gains: bool) -> dict[str, Tensor]:
    """Two scans of a digital twin and their units; the tensors by scan."""
    folder.mkdir(parents=True)
    g = torch.Generator().manual_seed(6)
    torch.save({"core.weights": torch.zeros(3)}, folder / "params_core.pt")
    weights, rows = {}, []
    for session, scan, n in ((4, 7, 3), (10, 2, 5)):
        shape = (n, 1, 2, 4) if gains else (n, 1, 8)
        state = {f"readout.feature.weights.{s}": torch.randn(shape, generator=g) for s in range(2)}
        if gains:
            state |= {f"readout.feature.gains.{s}": torch.randn(n, 1, 2, generator=g) for s in range(2)}
        state["readout.position.mu"] = torch.randn(n, 2, generator=g)
        torch.save(state, folder / f"params_{session}_{scan}.pt")
        weights[f"{session}-{scan}"] = state
        rows += [
            {"session": session, "scan_idx": scan, "unit_id": 100 * session + i, "readout_id": i}
            for i in range(n)
        ]
    pd.DataFrame(rows[::-1]).to_csv(folder / "units.csv", index=False)
    return weights
