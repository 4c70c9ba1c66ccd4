"""Checkpoints of ours as bytes. Reading is in `bounded`, which refuses what would expand."""

from __future__ import annotations

import io
from typing import Any

import torch


def content_bytes(content: Any) -> bytes:
    """Serialise tensors in plain containers, so that `torch.load(..., weights_only=True)` reads them."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
