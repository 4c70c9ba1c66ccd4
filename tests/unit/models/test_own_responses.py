"""Images that a network without recordings is shown: they can be cut for every network that is published here."""

from __future__ import annotations

import pytest

from decortex.errors import InputError
from decortex.models import OwnResponsesConfig, check_images
from decortex.models.checkpoints import PUBLISHED


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_images_of_every_published_network_can_be_cut(name: str) -> None:
    shape = PUBLISHED[name].image_shape
    assert shape is not None
    check_images(OwnResponsesConfig(), shape[1:])


def test_images_that_no_photograph_holds_are_refused() -> None:
    with pytest.raises(InputError, match="crops of 64 pixels at scale 2 span up to 181 pixels"):
        check_images(OwnResponsesConfig(max_scale=2), (36, 64))
