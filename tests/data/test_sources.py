import sys

import pytest
import torch
from torch.utils.data import DataLoader

import ghostify
from ghostify import GhostifyError, open_data
from ghostify.data import Data, open_calibration
from ghostify.data.sources import open_source
from ghostify.data.tensors import TensorImages

from .conftest import SOURCE, Scores

CODE = """
import torch
from torch.utils.data import DataLoader, TensorDataset

from ghostify.data import Data

def batches():
    return [(torch.rand(8, 3, 16, 16), torch.zeros(8, dtype=torch.int64)) for _ in range(5)]

def loader():
    return DataLoader(TensorDataset(*map(torch.cat, zip(*batches()))), batch_size=8)

def two():
    return loader(), loader()

def data():
    return Data("own", *two())

def stream():
    yield from batches()

def two_lists():
    return batches(), batches()[:1]

def pair_of_batches():
    return batches()[:2]

def tensor():
    return torch.rand(40, 3, 16, 16)

def labeled():
    return torch.rand(40, 3, 16, 16), torch.zeros(40, dtype=torch.int64)

def number():
    return 5
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "own.py").write_text(CODE)
    return lambda function: f"{tmp_path / 'own.py'}:{function}"


FUNCTIONS = ["batches", "loader", "two", "data", "stream", "two_lists", "tensor", "labeled"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_same_function_for_calibration_and_evaluation(code, function):
    name = code(function)
    opened = open_data(name, Scores(2), SOURCE, held_out=1)
    assert ghostify.evaluate(Scores(2), opened, teacher=Scores(2)).images in (8, 40)
    calibrated = open_calibration(name, Scores(2), SOURCE, images=20)
    assert sum(map(len, calibrated.batches)) == 20


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f != "tensor"])
def test_labels_of_a_function(code, function):
    opened = open_data(code(function), Scores(2), SOURCE, held_out=1)
    assert ghostify.evaluate(Scores(2), opened).top1 is not None


def test_a_list_of_two_batches_is_no_pair_of_loaders(code):
    found = open_source(code("pair_of_batches"))
    assert (len(found.train), found.validation) == (2, None)


def test_a_stream_is_repeatable(code):
    found = open_source(code("stream"))
    assert [len(list(found.train)) for _ in range(2)] == [5, 5]


def test_a_function_that_returns_no_images(code):
    with pytest.raises(GhostifyError, match="returned int: return a DataLoader"):
        open_source(code("number"))


def test_what_is_no_source():
    with pytest.raises(GhostifyError, match=r"a file of tensors \(\.pt.* did you mean digits"):
        open_source("digit")


def test_a_tensor_file_to_train_and_evaluate_on(tmp_path):
    labels = torch.arange(40) % 2
    content = {"images": torch.arange(40.0).view(-1, 1, 1, 1).expand(40, 3, 16, 16)}
    torch.save(content | {"labels": labels}, tmp_path / "x.pt")
    data = open_data(tmp_path / "x.pt", Scores(2), SOURCE, batch_size=8)
    ((images, held),) = data.validation
    assert sorted(held.tolist()) == [0, 0, 1, 1]  # a tenth of each class
    assert ((images[:, 0, 0, 0] % 2) == held).all()
    trained = [images for images, _ in data.train]
    assert [len(batch) for batch in trained] == [8] * 4
    assert not {*torch.cat(trained)[:, 0, 0, 0].tolist()} & {*images[:, 0, 0, 0].tolist()}
    calibrated = torch.cat([images for images, _ in data.calibration()])[:, 0, 0, 0].tolist()
    assert calibrated == sorted(calibrated)
    assert len(calibrated) == 36
    assert data.preprocessing == "as in the file, 3x16x16"
    plain = open_data(tmp_path / "x.pt", Scores(2), SOURCE, labels=False)
    assert next(iter(plain.validation)).shape == (4, 3, 16, 16)


def test_one_image(folder):
    opened = open_data(next(folder.rglob("*.png")), Scores(2), SOURCE, held_out=1)
    assert next(iter(opened.validation)).shape == (1, 3, 16, 16)


def test_the_names_of_sources_in_python(folder, tmp_path):
    model = Scores(2)
    example = torch.zeros(1, 3, 16, 16)
    found = ghostify.evaluate_models({"original": model}, str(folder), example=example)
    assert found.rows["original"].score == ghostify.evaluate(
        model, open_data(folder, model, SOURCE, held_out=1)
    )
    with pytest.raises(GhostifyError, match="does not declare its input size"):
        ghostify.evaluate(model, folder)
    torch.save(torch.rand(20, 3, 16, 16), tmp_path / "x.pt")
    assert ghostify.evaluate(model, tmp_path / "x.pt", teacher=model).images == 20


def test_data_is_kept(code):
    assert isinstance(open_source(code("data")), Data)
    assert isinstance(open_source(code("labeled")), TensorImages)
    assert isinstance(open_source(code("two")).train, DataLoader)
