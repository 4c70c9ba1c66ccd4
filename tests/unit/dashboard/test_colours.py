"""Colours that stay apart for those who see fewer of them, and text that is read on its ground."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from decortex_ops.dashboard import app, theme

# Machado, Oliveira & Fernandes 2009, severity 1, in linear RGB.
SEEN = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, D65."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(
        rgb, 0, 1
    )
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(a: str, b: str) -> float:
    """Ratio of WCAG 2.1."""
    light, dark = sorted((linear(one) @ [0.2126, 0.7152, 0.0722] for one in (a, b)), reverse=True)
    return float((light + 0.05) / (dark + 0.05))


@pytest.mark.parametrize("kind", SEEN)
def test_clusters_stay_apart_by_colour_or_marker(kind: str) -> None:
    matrix = np.array(SEEN[kind])
    for a, b in itertools.combinations(range(14), 2):
        if theme.cluster_symbol(a) != theme.cluster_symbol(b):
            continue
        seen = [lab(matrix @ linear(theme.cluster_colour(one))) for one in (a, b)]
        assert np.linalg.norm(seen[0] - seen[1]) > 8, f"clusters {a} and {b} look alike with {kind}"


def test_text_stands_out_of_its_ground() -> None:
    for colour in (theme.INK, theme.MUTED, theme.ACCENT):
        assert contrast(colour, "#ffffff") >= 4.5
    css = Path(app.ASSETS / "decortex.css").read_text()
    verdicts = re.findall(r"\.verdict\.[a-z-]+(?:, \.verdict\.[a-z-]+)* \{ color: (#[0-9a-f]{6})", css)
    assert verdicts
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in verdicts)
