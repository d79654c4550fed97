import pytest

from ghostify.types.errors import first_line

OPENVINO = """Exception from src/inference/src/cpp/core.cpp:132:
Exception from src/inference/src/dev/plugin.cpp:59:
Cannot get length of dynamic dimension

"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("size mismatch\n  at conv1", "size mismatch"),
        (OPENVINO, "Cannot get length of dynamic dimension"),
        ("Exception from src/core.cpp:1:", "Exception from src/core.cpp:1:"),
        ("Exception from the reader: no such file", "Exception from the reader: no such file"),
        ("", "RuntimeError"),
    ],
)
def test_first_line_skips_places_in_libraries(message: str, line: str) -> None:
    assert first_line(RuntimeError(message)) == line
