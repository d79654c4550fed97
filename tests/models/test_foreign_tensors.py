"""Files of other programs: none runs code, hangs, or is taken for what it is not."""

import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from ghostify import GhostifyError
from ghostify.models.foreign_tensors import StandIn, named_tensors, read_tensors


def refused(path, message):
    with pytest.raises(GhostifyError, match=message) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["w.pt", "w.bin"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a file of tensors, or damaged"),
        (b"hello", "not a file of tensors"),
        (b"\x80\x02", "not a file of tensors, or damaged"),
        (b'{"format": "ghostify-plan/1"}', "not a file of tensors"),
        (b"PK\x03\x04", "a damaged archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer: run git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\x10" + b"\0" * 7 + b"{" + b"x" * 20, "invalid JSON"),
        (b"\xff" * 7 + b"\x7f{}", "header too large"),
    ],
)
def test_other_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, message)


@pytest.mark.filterwarnings("ignore")
def test_other_archives(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    refused(tmp_path / "x.npy", "an array of NumPy")
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    refused(tmp_path / "x.npz", "an archive of NumPy")
    layer = torch.nn.Linear(2, 2)
    torch.jit.trace(layer, torch.zeros(1, 2)).save(tmp_path / "x.pt")
    refused(tmp_path / "x.pt", "a TorchScript archive: save the network's state_dict")
    torch.export.save(torch.export.export(layer, (torch.zeros(1, 2),)), tmp_path / "x.pt2")
    refused(tmp_path / "x.pt2", "an archive of torch.export")


@pytest.mark.parametrize("where", ["data.pkl", "data/0", "data/99"])
def test_archives_that_grow(tmp_path, where):
    torch.save({"x": torch.ones(3)}, tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content + b"\0" * 100_000 * name.endswith(where))
        if not any(name.endswith(where) for name in members):
            archive.writestr(f"x/{where}", b"\0" * 100_000)
    refused(tmp_path / "bomb.pt", "a compressed archive")


@pytest.mark.parametrize("value", [b"\x81", b"\x3f\x80"])
def test_a_flipped_bit_is_noticed(tmp_path, value):
    torch.save({"x": torch.full((100,), 1.0)}, tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    place = content.index(b"\0\0\x80\x3f" * 50) + 20
    changed = content[:place] + value + content[place + len(value) :]
    (tmp_path / "y.pt").write_bytes(changed)
    refused(tmp_path / "y.pt", r"a damaged archive \(the checksum of x/data/0 does not match\)")


def test_checksums_that_were_turned_off(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"x": torch.ones(3)}, tmp_path / "x.pt")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_tensors(tmp_path / "x.pt")["x"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "w.pt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    if kind == "link":
        with pytest.raises(OSError, match="Too many levels"):
            read_tensors(path)
    else:
        refused(path, "is not a regular file")


class Loud:
    """Fails when pickle treats it as an object of this class."""

    def __setstate__(self, state):
        pytest.fail("code of the file ran")

    def __reduce__(self):
        return (explode, ("code of the file ran",), {"x": torch.ones(2), 3: 4})


def explode(reason):
    pytest.fail(reason)


class LoudDict(dict):
    pass


def test_pickled_objects_are_stand_ins(tmp_path):
    torch.save({"a": Loud(), "b": [Loud], "c": explode}, tmp_path / "x.pt")
    content = read_tensors(tmp_path / "x.pt")
    assert isinstance(content["a"], StandIn)
    assert type(content["a"]).__name__ == "explode"
    assert content["b"][0].__name__ == "Loud"
    assert named_tensors(content)["a.x"].tolist() == [1, 1]
    assert list(vars(content["a"])) == ["x"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ({"x": LoudDict(a=1)}, {}, "a pickled LoudDict, and loading it could run code: save the"),
        ({"x": os.system}, {}, "a pickled posix.system, and loading it could run code"),
        ({"x": Loud()}, {"_use_new_zipfile_serialization": False}, "a pickled .*explode, and"),
        ({"x": torch.ones(2)}, {"pickle_protocol": 4}, "pickled with a protocol above 2"),
    ],
)
def test_what_has_no_stand_in(tmp_path, content, options, message):
    torch.save(content, tmp_path / "x.pt", **options)
    refused(tmp_path / "x.pt", message)


@pytest.mark.parametrize(("depth", "found"), [(90, 1), (3000, 0)])
def test_nests_in_nests_without_end(depth, found):
    nest = {"x": torch.ones(1)}
    for _ in range(depth):
        nest = {"a": nest}
    assert len(named_tensors(nest)) == found


def test_plain_pickles_are_refused(tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Loud(), protocol=2))
    refused(tmp_path / "x.pkl", "a pickled .*explode, and loading it could run code")


def test_files_of_old_versions(tmp_path):
    torch.save({"x": torch.ones(2)}, tmp_path / "x.pt", _use_new_zipfile_serialization=False)
    assert read_tensors(tmp_path / "x.pt")["x"].tolist() == [1, 1]


def test_stand_ins_are_forgotten(tmp_path):
    known = torch.serialization.get_safe_globals()
    torch.save({"x": Loud()}, tmp_path / "x.pt")
    read_tensors(tmp_path / "x.pt")
    assert set(torch.serialization.get_safe_globals()) == set(known)
