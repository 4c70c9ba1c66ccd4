"""Images that a network without recordings is shown: they can be cut for every network that is published here."""

from __future__ import annotations

import numpy as np
import pytest

from decortex.data import VideoSimulationConfig, simulate_video
from decortex.errors import InputError
from decortex.models import (
    Network,
    NetworkConfig,
    OwnResponsesConfig,
    check_images,
    own_recordings,
    predict,
)
from decortex.models.checkpoints import PUBLISHED
from decortex.models.cores import SpaceTimeConfig, SpaceTimeLayerConfig


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_images_of_every_published_network_can_be_cut(name: str) -> None:
    shape = PUBLISHED[name].image_shape
    assert shape is not None
    check_images(OwnResponsesConfig(), shape[1:])


def test_images_that_no_photograph_holds_are_refused() -> None:
    with pytest.raises(InputError, match="crops of 64 pixels at scale 2 span up to 181 pixels"):
        check_images(OwnResponsesConfig(max_scale=2), (36, 64))


def test_a_network_of_movies_answers_to_clips_and_finds_its_own_responses_again() -> None:
    core = SpaceTimeConfig(
        layers=(SpaceTimeLayerConfig(channels=3, kernel=5, stride=2, frames=4),), warm_up=6
    )
    recorded = simulate_video(
        VideoSimulationConfig(n_neurons=6, n_train=4, n_validation=2, n_test=2, n_repeats=2, n_frames=20), 0
    ).recordings
    network = Network.build(NetworkConfig(space_time=core), recorded, seed=0)
    config = OwnResponsesConfig(n_train=4, n_validation=2, n_test=2, n_frames=12, max_scale=1.2)
    own = own_recordings(network, config, seed=0, content_sha256="own")
    session = own.sessions[0]
    assert own.frame_rate == 30.0
    assert session.images.read(np.array([0, 7])).shape == (2, 1, 12, 36, 36)
    assert session.responses.read(np.array([0, 7])).shape == (2, 12, 6)
    assert (session.responses.read(np.arange(8)) > 0).all()  # no frame is without an answer
    found = predict(network, own, "test", device="cpu")["animal-1"]
    np.testing.assert_allclose(found.predictions, found.responses, rtol=1e-4, atol=1e-6)
    again = own_recordings(network, config, seed=0, content_sha256="own").sessions[0]
    np.testing.assert_array_equal(again.responses.read(np.arange(8)), session.responses.read(np.arange(8)))
    with pytest.raises(InputError, match="takes movies: its own responses are to clips"):
        own_recordings(network, OwnResponsesConfig(), seed=0, content_sha256="own")
    assert "n_frames" not in OwnResponsesConfig().resolved()
