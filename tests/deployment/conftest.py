"""What tests of the exporters share."""

import pytest

from ghostify.deployment import EXPORTERS

ENDINGS = [exporter.ending for exporter in EXPORTERS.values()]


def skip_where_missing(ending):
    for exporter in EXPORTERS.values():
        if exporter.ending == ending:
            for package in exporter.needs:
                pytest.importorskip(package)


@pytest.fixture(params=ENDINGS)
def ending(request):
    """Each form's ending, where what it needs is installed."""
    skip_where_missing(request.param)
    return request.param
