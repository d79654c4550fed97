"""``ghostify convert`` with images."""

import json
import sys

import pytest
import torch

import ghostify
from ghostify.types import Fidelity


@pytest.fixture
def left(tmp_path):
    """What a command has left in its folder that was not there at first."""
    before = set(tmp_path.iterdir())
    return lambda: {p.name for p in set(tmp_path.iterdir()) - before if p.name != "__pycache__"}


def table(text, title):
    """The rows of the table of that title, each with single blanks."""
    rows = text[text.index(title) :].split("\n\n")[0].splitlines()
    return [" ".join(row.split()) for row in rows]


@pytest.mark.parametrize("given", ["pictures", "tensor"])
def test_the_report_says_what_was_kept(run, net, request, given, tmp_path):
    path = request.getfixturevalue(given)
    result = run("convert", *net, "--calibration", path, "--out", "out")
    assert result.code == 0, result.err
    heading, _, *rows = table(result.out, "Changed: 2")[1:4]
    assert heading.endswith("factor error")
    assert all(row.endswith("%") for row in rows)
    fitted, number = {"pictures": (11, 2), "tensor": (15, 3)}[given]  # without a tenth
    title, *rows = table(result.out, "Agreement")
    assert title == "Agreement with the original"
    assert f"images held out, before training {number}" in rows
    assert f"calibrated, fitted to {fitted} images" in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    sys.path.insert(0, str(tmp_path))
    from net import build

    kept = Fidelity.find(ghostify.load("out", build()))
    assert (kept.init, kept.images, kept.score.images) == ("calibrated", fitted, number)


def test_calibrated_keeps_more_than_random(run, net, tensor, tmp_path):
    sys.path.insert(0, str(tmp_path))
    from net import build

    torch.save(build().state_dict(), "weights.pt")
    error = {}
    for init in ("random", "weights", "calibrated"):
        more = ["--init", init, "--calibration", tensor, "--weights", "weights.pt"]
        data = json.loads(run("convert", *net, *more, "--dry-run", "--format", "json").out)
        assert data["fidelity"]["init"] == init
        error[init] = data["fidelity"]["score"]["relative_error"]
    assert error["calibrated"] < error["weights"] < error["random"]


def test_the_same_again(run, net, tensor, tmp_path):
    run("plan", *net, "-o", "plan.json")  # writes the cache of net.py's code
    sys.path.insert(0, str(tmp_path))
    from net import build

    torch.save(build().state_dict(), "weights.pt")
    calibrated = ["--weights", "weights.pt", "--calibration", tensor, "--finetune-steps", "2"]
    for place in ("one", "two"):
        torch.manual_seed(len(place) + ord(place[0]))
        assert run("convert", *net, *calibrated, "--out", place).code == 0
    one, two = ((tmp_path / place / "model.safetensors").read_bytes() for place in ("one", "two"))
    assert one == two


def test_an_image_that_cannot_be_read_is_named_and_skipped(run, net, pictures, tmp_path):
    (tmp_path / pictures / "more" / "notes.png").write_text("no picture")
    result = run("convert", *net, "--calibration", pictures, "--dry-run")
    assert result.code == 0
    assert "1 skipped: not an image (more/notes.png)" in result.err
    assert "fitted to 11 images" in result.out


def test_at_most_so_many_images(run, net, pictures):
    result = run("convert", *net, "--calibration", pictures, "--images", "5", "--dry-run")
    assert "fitted to 5 images" in result.out
    assert "Agreement" not in result.out


def broken(folder):
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        (folder / name).write_text("no picture")


def test_a_function_that_returns_a_loader(run, net, tmp_path):
    (tmp_path / "own.py").write_text(
        "import torch\nfrom torch.utils.data import DataLoader, TensorDataset\n"
        "def loader():\n"
        "    pairs = TensorDataset(torch.rand(40, 3, 16, 16), torch.zeros(40).long())\n"
        "    return DataLoader(pairs, batch_size=8)\n"
    )
    result = run("convert", *net, "--calibration", "own.py:loader", "--images", "20", "--dry-run")
    assert result.code == 0, result.err
    assert "fitted to 16 images" in result.out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (broken, "none of the images can be read: 1 skipped: not an image (b.png)"),
        (lambda path: path.mkdir(), "data holds no images"),
        (
            lambda path: None,
            "'data' is no source of images: name a folder of images, an",
        ),
        (lambda path: path.write_text("x"), "'data' is no source of images"),
    ],
)
def test_paths_without_images(fails, net, tmp_path, left, make, message):
    make(tmp_path / "data")
    assert message in fails("convert", *net, "--calibration", "data", "--out", "out")
    assert left() <= {"data"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(8, 4, 16, 16), "a channel count of 4 instead of 3"),
        (torch.zeros(3, 16, 16), "holds 3x16x16: one tensor (N, C, H, W) is needed"),
        (torch.zeros(8, 3, 16, 16, dtype=torch.uint8), "images.pt"),
        (torch.full((8, 3, 16, 16), torch.nan), "images.pt"),
        (torch.zeros(0, 3, 16, 16), "no values"),
        ({"a": torch.zeros(1), "b": torch.zeros(1)}, "one tensor (N, C, H, W) is needed"),
    ],
)
def test_tensors_that_do_not_fit(fails, net, left, content, message):
    torch.save(content, "images.pt")
    assert message in fails("convert", *net, "--calibration", "images.pt", "--out", "out")
    assert left() == {"images.pt"}


def test_images_too_small_for_the_network(fails, net, left):
    torch.save(torch.zeros(8, 3, 2, 2), "images.pt")
    said = fails("convert", *net, "--calibration", "images.pt", "--out", "out")
    assert "does not run on an input of 7x3x2x2: at 4, Conv2d" in said
    assert left() == {"images.pt"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--init", "calibrated"], "--init calibrated needs --calibration with some images"),
        (["--finetune-steps", "40"], "--finetune-steps follow a fit to --calibration"),
        (["--init", "weights", "--finetune-steps", "40"], "--finetune-steps follow a fit"),
        (["--sensitivity", "s.json"], "--sensitivity is for a --budget"),
        (["--no-prune"], "--no-prune is for a --budget: add one"),
        (["--budget", "macs=0.5", "--ratio", "3"], "drop --ratio and --dw-size"),
        (["--budget", "macs=0.5", "-d", "5"], "drop --ratio and --dw-size"),
        (["--budget", "macs=0.01"], "budget macs=0.01 cannot be met: the lowest possible is"),
        (["--budget", "macs=half"], "budget 'macs=half': 'half' must be a number such as 0.5"),
        (["--budget", "joules=0.5"], "budget 'joules=0.5'"),
        (["--budget", "0.5"], "budget '0.5': must be of the form macs=0.5"),
        (["--budget", "macs=0.9", "--budget", "macs=0.8"], "budget macs is given twice"),
    ],
)
def test_options_that_make_no_sense(fails, net, left, options, message):
    assert message in fails("convert", *net, *options, "--out", "out")
    assert left() == set()


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_budget_is_kept(run, net, tensor, calibrated):
    more = ["--calibration", tensor] if calibrated else []
    budgets = ["--budget", "macs=0.75", "--budget", "params<=1.6K"]
    result = run("convert", *net, *budgets, *more, "--dry-run", "--format", "json")
    before, after = (json.loads(result.out)[when] for when in ("before", "after"))
    assert after["macs"]["conv"] <= 0.75 * before["macs"]["conv"]
    assert after["params"] <= 1600 < before["params"]


@pytest.mark.parametrize(
    "place",
    [
        ("ghostify.conversion.convert.measure_sensitivity",),
        (ghostify, "convert"),
        (ghostify, "save"),
    ],
    ids=str,
)
def test_interrupted(run, net, tensor, left, monkeypatch, place):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(*place, stop)
    result = run("convert", *net, "--calibration", tensor, "--budget", "macs=0.8", "--out", "out")
    assert result.code == 130
    assert (result.out, "Traceback" in result.err) == ("", False)
    assert left() == set()


def test_interrupted_in_the_middle_of_a_fit(run, net, tensor, left, monkeypatch):
    from ghostify.conversion.init import calibrated

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrated, "fit_to_sample", stop)
    result = run("convert", *net, "--calibration", tensor, "--out", "out")
    assert result.code == 130
    assert (result.out, "Traceback" in result.err) == ("", False)
    assert left() == set()
