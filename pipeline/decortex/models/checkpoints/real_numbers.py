"""Which tensors of a file hold numbers to compute with: dense ones, real ones, and not shapes alone."""

from __future__ import annotations

import torch
from torch import Tensor

from decortex.errors import CheckpointError


def refuse_unusable(tensor: Tensor, what: str, *, advice: str = "") -> None:
    """Refuse a tensor without dense real numbers.

    Parameters
    ----------
    tensor : Tensor
    what : str
        How the message calls it.
    advice : str
        What to do, where that is not to save the tensor otherwise.

    Raises
    ------
    CheckpointError
        If it has a shape and no numbers (device 'meta'), is sparse, or holds complex or quantised numbers.

    Examples
    --------
    >>> refuse_unusable(torch.zeros(2), "the tensor 'core.weight'")
    """
    if tensor.is_meta:
        flaw = "has a shape and no numbers (device 'meta'): the network was saved before it was filled"
        todo = "Load its weights where it was built, then save its state dict."
    elif tensor.layout is not torch.strided:
        flaw = f"is sparse ({tensor.layout}): networks here hold dense tensors"
        todo = "Save it as tensor.to_dense()."
    elif tensor.is_complex() or tensor.is_quantized:
        flaw = f"is of type {tensor.dtype}: networks here hold real numbers (float or int)"
        todo = "Save it as a real tensor, or leave it out."
    else:
        return
    raise CheckpointError(f"{what} {flaw}. {advice or todo}")
