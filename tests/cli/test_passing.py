"""Every option of a command reaches the function that does the work."""

from pathlib import Path

import pytest

import ghostify
from ghostify import Artifact, Augmentation, GhostifyError, GhostSpec, RecoverySettings

MODEL = ["--model", "net.py:build", "--input", "3x16x16"]
PLANNING = {"include": ["2", "5"], "exclude": ["5"], "stem": True, "all_eligible": True}
SITES = ["--include", "2", "--include", "5", "--exclude", "5", "--stem", "--all-eligible"]


@pytest.fixture
def passed(run, monkeypatch):
    """Runs a command up to the call of a function; returns what that was given."""

    def invoke(owner, name, *arguments):
        calls = []

        def called(*given, **named):
            calls.append((given, named))
            raise GhostifyError("called")

        monkeypatch.setattr(owner, name, called)
        result = run(*arguments)
        assert result.err.endswith("error: called\n"), result.err
        return calls[0]

    return invoke


@pytest.fixture
def out(run, net, tensor):
    assert run("convert", *net, "--out", "out").code == 0
    return "out"


def test_recalibrate(passed, out, tensor):
    _, named = passed(
        Artifact, "recalibrate", "recalibrate", out, *MODEL, "--data", tensor, "--out", "new",
        "--force", "--batches", "3", "--keep-worse", "--outputs", "values", "--device", "cpu:0",
    )  # fmt: skip
    assert named == {
        "out": Path("new"), "force": True, "batches": 3, "keep_worse": True, "outputs": "values",
        "device": "cpu:0",
    }  # fmt: skip


def test_recover(passed, out, tensor):
    (_, _, settings), named = passed(
        Artifact, "recover", "recover", out, *MODEL, "--data", tensor, "--out", "new", "--force",
        "--stages", "3", "--teacher-weights", "other.pt", "--resume", "--tensorboard",
        "--outputs", "values", "--device", "cpu:0", "--epochs", "4", "--lr", "0.25", "--seed", "7",
        "--optimizer", "sgd", "--update-bn",
    )  # fmt: skip
    assert settings == RecoverySettings(epochs=4, lr=0.25, seed=7, optimizer="sgd", freeze_bn=False)
    assert str(named.pop("outputs")[0]).startswith("values")
    named.pop("on_epoch")
    assert named == {
        "out": Path("new"), "stages": 3, "device": "cpu:0", "teacher_weights": Path("other.pt"),
        "force": True, "resume": True, "tensorboard": True,
    }  # fmt: skip


def test_data(passed, out, tensor):
    (source, *_), named = passed(
        ghostify, "open_data", "recover", out, *MODEL, "--data", tensor, "--batch-size", "5",
        "--workers", "2", "--data-root", "root", "--held-out", "0.25", "--no-labels", "--seed", "7",
        "--flip", "--mixup", "0.5",
    )  # fmt: skip
    assert source == tensor
    assert named == {
        "batch_size": 5, "workers": 2, "data_root": Path("root"), "held_out": 0.25, "labels": False,
        "seed": 7, "augmentation": Augmentation(flip=True, mixup=0.5),
    }  # fmt: skip


INT8 = ["--to", "onnx", "--out", "new.onnx", "--force", "--int8", "--calibration", "images.pt",
        "--images", "7", "--outputs", "values", "--max-divergence", "0.5"]  # fmt: skip


@pytest.mark.parametrize("folder", [True, False])
def test_export(passed, out, net, folder):
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    owner, target = (Artifact, [out, *MODEL]) if folder else (ghostify, net)
    given, named = passed(owner, "export", "export", *target, *INT8)
    assert given[-1] == Path("new.onnx")
    assert sum(map(len, named.pop("calibration"))) == 7
    assert named == {
        "to": "onnx", "int8": True, "outputs": "values", "max_divergence": 0.5, "force": True
    }  # fmt: skip


@pytest.mark.parametrize("folder", [True, False])
def test_benchmark(passed, out, net, folder):
    owner, target = (Artifact, [out, *MODEL]) if folder else (ghostify, net)
    _, named = passed(
        owner, "benchmark", "benchmark", *target, "--runtime", "eager, compile", "--batch", "1,8",
        "--threads", "1,2", "--seconds", "3",
    )  # fmt: skip
    named.pop("against", None)
    assert named == {
        "runtime": ["eager", "compile"], "batch": [1, 8], "threads": [1, 2], "seconds": 3
    }  # fmt: skip


@pytest.mark.parametrize("folder", [True, False])
def test_evaluate(passed, out, net, tensor, folder):
    target = [out, *MODEL] if folder else net
    owner, name = (Artifact, "evaluate") if folder else (ghostify, "evaluate_models")
    options = ["--data", tensor, "--outputs", "values", "--device", "cpu:0"]
    _, named = passed(owner, name, "evaluate", *target, *options)
    assert (named["outputs"], named["device"]) == ("values", "cpu:0")


def test_compare(passed, out, tensor):
    options = ["--data", tensor, "--images", "7", "--outputs", "values"]
    _, named = passed(Artifact, "compare", "compare", out, *MODEL, *options)
    assert sum(map(len, named["data"])) == 7
    assert named["outputs"] == "values"


def test_report(passed, out):
    pytest.importorskip("matplotlib")
    options = ["--plots", "plots", "--title", "My net", "--card", "card.png"]
    given, named = passed(ghostify, "write_report", "report", out, "--out", "page.html", *options)
    assert given == (Path(out), Path("page.html"))
    assert named == {"plots": Path("plots"), "title": "My net", "card": Path("card.png")}


def test_sensitivity(passed, net, tensor):
    options = ["--calibration", tensor, "--images", "7", "--outputs", "values"]
    _, named = passed(ghostify, "sensitivity", "sensitivity", *net, *options)
    assert sum(map(len, named["calibration"])) == 7
    assert named["outputs"] == "values"


def test_redundancy(passed, net, tensor):
    pytest.importorskip("matplotlib")
    options = ["--image", tensor, "--images", "2", "--layer", "2"]
    (_, images), named = passed(ghostify, "redundancy", "redundancy", *net, *options)
    assert len(images) == 2
    assert named["layers"] == ["2"]


def test_plan(passed, net):
    options = ["--ratio", "3", "--dw-size", "5", *SITES]
    _, named = passed(ghostify, "plan", "plan", *net, *options)
    assert named == PLANNING | {
        "budget": None, "prune": True, "sensitivity": None, "latencies": None, "ratio": 3,
        "dw_size": 5,
    }  # fmt: skip


def test_search(passed, run, net, tensor):
    run("sensitivity", *net, "-o", "found.json")
    options = ["--budget", "macs=0.9", "--budget", "params=0.9", "--no-prune", *SITES]
    _, named = passed(
        ghostify, "search", "search", *net, *options, "--calibration", tensor, "--outputs",
        "values", "--sensitivity", "found.json",
    )  # fmt: skip
    assert {name: named[name] for name in PLANNING} == PLANNING
    assert named["budget"] == ["macs=0.9", "params=0.9"]
    assert named["prune"] is False
    assert named["outputs"] == "values"
    assert named["sensitivity"] is not None
    assert named["calibration"]


def test_convert(passed, net, tensor):
    _, named = passed(
        ghostify, "convert", "convert", *net, "--ratio", "3", "--dw-size", "5", *SITES,
        "--calibration", tensor, "--images", "7", "--finetune-steps", "9", "--outputs", "values",
        "--init", "calibrated", "--runtime", "eager", "--threads", "2",
    )  # fmt: skip
    assert {name: named[name] for name in PLANNING} == PLANNING
    assert sum(map(len, named["calibration"])) == 7
    assert (named["ratio"], named["dw_size"], named["init"]) == (3, 5, "calibrated")
    assert (named["finetune_steps"], named["outputs"]) == (9, "values")
    assert (named["runtime"], named["threads"]) == ("eager", 2)


@pytest.mark.parametrize(
    ("options", "candidates", "prune"),
    [
        (["--ratio", "3"], [GhostSpec(3, 3)], False),
        (["--budget", "latency=0.5"], None, True),
        (["--budget", "latency=0.5", "--no-prune"], None, False),
    ],
)
def test_times_of_layers(passed, net, options, candidates, prune):
    import ghostify.deployment.layer_latency as owner

    runtime = ["--runtime", "eager", "--threads", "2"]
    _, named = passed(owner, "layer_latency", "plan", *net, *runtime, *options)
    assert named == {"runtime": "eager", "threads": 2, "candidates": candidates, "prune": prune}


def test_save(passed, net):
    (_, folder), named = passed(ghostify, "save", "convert", *net, "--out", "new", "--force")
    assert folder == Path("new")
    assert named["force"] is True
    assert named["source"].name == "net.py:build"
    assert {"original", "example", "options"} <= named.keys()


def test_the_page_of_a_conversion(passed, net):
    options = ["--out", "new", "--report", "page.html"]
    given, _ = passed(Artifact, "write_report", "convert", *net, *options)
    assert given[-1] == Path("page.html")
