import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ghostify import GhostifyError
from ghostify.data.tensor_file import read_tensor

EXAMPLE = torch.zeros(1, 3, 8, 8)


@pytest.fixture
def images():
    return torch.rand(5, 3, 6, 7)


def test_each_kind_of_file(tmp_path, images):
    torch.save(images, tmp_path / "x.pt")
    torch.save({"images": images}, tmp_path / "x.pth")
    save_file({"x": images}, tmp_path / "x.safetensors")
    np.save(tmp_path / "x.npy", images.double().numpy())
    for file in tmp_path.iterdir():
        assert torch.equal(read_tensor(file, EXAMPLE), images)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "holds uint8, .* x.float"),
        (torch.zeros(2, 1, 8, 8), "is 2x1x8x8, .* a channel count of 1 instead of 3"),
        (torch.zeros(3, 8, 8), r"holds 3x8x8: one tensor \(N, C, H, W\) is needed"),
        (torch.full((2, 3, 8, 8), torch.nan), "holds NaN"),
        ({"x": torch.zeros(1), "y": torch.zeros(2)}, r"holds \{x: 1, y: 2\}: one tensor"),
        (["text"], r"holds \[str\]"),
    ],
)
def test_contents_that_are_no_inputs(tmp_path, content, message):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(GhostifyError, match=message):
        read_tensor(tmp_path / "x.pt", EXAMPLE)


def test_two_tensors_in_safetensors(tmp_path):
    save_file({"x": torch.zeros(1), "y": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(GhostifyError, match="one tensor"):
        read_tensor(tmp_path / "x.safetensors", EXAMPLE)


def test_code_is_not_run(tmp_path):
    torch.save(pytest.fail, tmp_path / "x.pt")
    with pytest.raises(GhostifyError, match="could run code"):
        read_tensor(tmp_path / "x.pt", EXAMPLE)
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(GhostifyError, match="cannot be read: Object arrays"):
        read_tensor(tmp_path / "x.npy", EXAMPLE)


@pytest.mark.parametrize("name", ["x.pt", "x.npy", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no tensor at all"])
def test_damaged_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GhostifyError, match=f"{name} (cannot be read|is damaged)") as caught:
        read_tensor(tmp_path / name, EXAMPLE)
    assert "\n" not in str(caught.value)
