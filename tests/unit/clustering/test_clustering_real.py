"""The graph methods on a real readout embedding, whose graph falls apart at the papers' number of neighbours."""

import numpy as np
import pytest
import torch

from decortex.clustering import MemoryCache, fit_grid


@pytest.fixture(scope="module")
def mouse(shared_data):
    """Readout features of one mouse V1 session, (7538, 64)."""
    path = shared_data / "mouse_v1_sensorium" / "sensorium_p_sota_model.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    (name,) = [key for key in state if key.endswith("._features")]
    return state[name][0, :, 0, :].T.numpy()


@pytest.mark.real_data
def test_five_neighbours_fragment_and_fifteen_on_unit_rows_do_not(mouse):
    cache = MemoryCache()
    raw = fit_grid(mouse, "sec", n_clusters=[12], seeds=[0], n_starts=1, cache=cache)[0]
    assert (raw.status, raw.converged) == ("fragmented", True)
    assert raw.largest_share > 0.9
    unit = mouse / np.linalg.norm(mouse, axis=1, keepdims=True)
    wide = fit_grid(unit, "sec", n_clusters=[12], seeds=[0], n_neighbors=15, n_starts=1, cache=cache)[0]
    assert wide.status == "ok"
    assert wide.largest_share < 0.4
