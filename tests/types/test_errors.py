import pytest
import torch

from ghostify.types.errors import first_line, is_out_of_memory, near, printable, root_cause

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1 → 3×3, é, 中", "conv1 → 3×3, é, 中"),
        ("\x1b[2Jgone", "\\u001b[2Jgone"),
        ("a\nerror: b", "a\\u000aerror: b"),
        ("\x9b31m \x7f", "\\u009b31m \\u007f"),
        ("gnp.\u202eexe\u2028", "gnp.\\u202eexe\\u2028"),
        ("caf\udce9.png", "caf\\udce9.png"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


CPU = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError(CPU), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("a shape is wrong"), False),
        (ValueError("MemoryError"), False),
    ],
)
def test_out_of_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_torch_says_it_so() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60)
    assert is_out_of_memory(raised.value)


def test_the_root_cause_is_that_of_the_first_error() -> None:
    first, second, third = ValueError("first\nmore"), KeyError("second"), OSError("third")
    second.__cause__, third.__cause__ = first, second
    assert root_cause(third) == root_cause(first) == "first"
    assert root_cause(ValueError("x" * 200)) == "x" * 200
    assert root_cause(ValueError("x" * 201)) == "x" * 200 + "…"


def test_near_names() -> None:
    assert near("layer1.conv", ["layer1.conv1", "head"]) == "; did you mean layer1.conv1?"
    assert near("a1", ["a2", "a3", "a4", "a5"]).count(",") == 2
    assert near("layer1.conv", ["head"]) == ""
