import pytest

import ghostify


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)
