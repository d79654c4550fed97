import pytest

from ghostify import GhostifyError
from ghostify.types import SeenImages


def test_fingerprints_are_written_and_read():
    found = SeenImages.of([f"{3:016x}", f"{1:016x}", f"{3:016x}"])
    assert list(SeenImages.from_dict(found.to_dict())) == [f"{1:016x}", f"{3:016x}"]


@pytest.mark.parametrize("text", ["", "0" * 15, "0" * 17, "x" * 16])
def test_other_texts_are_refused(text):
    with pytest.raises(GhostifyError, match="16 hexadecimal digits"):
        SeenImages(text)
