import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ghostify import GhostifyError
from ghostify.data.tensor_file import read_tensor_images

SIZE = (3, 8, 8)


@pytest.fixture
def tensor():
    return torch.rand(5, 3, 6, 7)


def test_each_kind_of_tensor_file(tmp_path, tensor):
    torch.save(tensor, tmp_path / "x.pt")
    torch.save({"images": tensor}, tmp_path / "x.pth")
    save_file({"x": tensor}, tmp_path / "x.safetensors")
    np.save(tmp_path / "x.npy", tensor.double().numpy())
    for file in tmp_path.iterdir():
        assert torch.equal(read_tensor_images(file, SIZE).images, tensor)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "x.pt holds uint8, .* x.float"),
        (torch.zeros(2, 1, 8, 8), "is 2x1x8x8, .* a channel count of 1 instead of 3"),
        (torch.zeros(3, 8, 8), r"holds 3x8x8: one tensor \(N, C, H, W\) is needed"),
        (torch.full((2, 3, 8, 8), torch.nan), "x.pt holds NaN"),
        ({"x": torch.zeros(1), "y": torch.zeros(2)}, r"holds \{x: 1, y: 2\}: one tensor"),
        (torch.ones(1, 3, 8, 8).to_sparse(), "x.pt: images is sparse"),
        (torch.ones(1, 3, 8, 8, dtype=torch.complex64), "takes float32"),
        (torch.empty(1, 3, 8, 8, device="meta"), "images is without values"),
        (["text"], r"holds \[str\]"),
    ],
)
def test_tensor_files_that_hold_no_inputs(tmp_path, content, message):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(GhostifyError, match=message):
        read_tensor_images(tmp_path / "x.pt", SIZE)


def test_two_tensors_in_safetensors(tmp_path):
    save_file({"x": torch.zeros(1), "y": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(GhostifyError, match="one tensor"):
        read_tensor_images(tmp_path / "x.safetensors", SIZE)


def test_code_is_not_run(tmp_path):
    torch.save(pytest.fail, tmp_path / "x.pt")
    with pytest.raises(GhostifyError, match="x.pt holds _Fail: one tensor"):
        read_tensor_images(tmp_path / "x.pt", SIZE)
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(GhostifyError, match="cannot be read: Object arrays"):
        read_tensor_images(tmp_path / "x.npy", SIZE)


@pytest.mark.parametrize("name", ["x.pt", "x.npy", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no tensor at all"])
def test_damaged_tensor_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GhostifyError, match=f"{name} (cannot be read|is damaged)") as caught:
        read_tensor_images(tmp_path / name, SIZE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["labels", "targets"])
def test_labels_by_name(tmp_path, tensor, name):
    torch.save({name: torch.arange(5), "x": tensor}, tmp_path / "x.pt")
    found = read_tensor_images(tmp_path / "x.pt", SIZE)
    assert torch.equal(found.images, tensor)
    assert found.labels.tolist() == list(range(5))
    image, label = found[3]
    assert torch.equal(image, tensor[3])
    assert label == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.arange(4), "as many labels as images are needed"),
        (torch.tensor(5), "as many labels as images are needed"),
        (list(range(5)), "as many labels as images are needed"),
        (torch.full((5,), torch.nan), "x.pt: labels must be finite"),
        (torch.ones(5, dtype=torch.complex64), "labels must be finite real numbers"),
        (torch.ones(5).to_sparse(), "x.pt: labels is sparse"),
    ],
)
def test_labels_that_no_images_have(tmp_path, tensor, labels, message):
    torch.save({"labels": labels, "x": tensor}, tmp_path / "x.pt")
    with pytest.raises(GhostifyError, match=message):
        read_tensor_images(tmp_path / "x.pt", SIZE)


def test_any_size(tmp_path, tensor):
    torch.save(tensor, tmp_path / "x.pt")
    found = read_tensor_images(tmp_path / "x.pt", None)
    assert len(found) == 5
    assert str(found) == "as in the file, 3x6x7"


@pytest.mark.parametrize(
    "header", [b"{'descr': '<f4', 'shape': (2,", b"{'descr': '<f4'}", b"nothing", b"1 +", b"(" * 99]
)
def test_headers_of_numpy_files_that_are_damaged(tmp_path, header):
    size = len(header).to_bytes(2, "little")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + size + header)
    with pytest.raises(GhostifyError, match="x.npy cannot be read: "):
        read_tensor_images(tmp_path / "x.npy", SIZE)
