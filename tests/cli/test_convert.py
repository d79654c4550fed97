import csv
import io
import json
import signal
import subprocess
import sys
import time

import pytest
import torch
import torchvision

import ghostify
from ghostify import Plan


def test_the_main_job(run, net, tmp_path):
    result = run("convert", *net, "--out", "out")
    assert result.code == 0
    assert "net.py:build, input 1x3x16x16, s=2, d=3" in result.out
    assert "Changed: 2" in result.out
    assert "Saved to out." in result.err
    assert max(map(len, result.out.splitlines())) <= 80
    sys.path.insert(0, str(tmp_path))
    from net import build

    loaded = ghostify.load("out", build())
    assert set(Plan.of(loaded).replaced) == {"2", "5"}
    recipe = json.loads((tmp_path / "out" / "ghostify.json").read_text(encoding="utf-8"))
    assert recipe["source"] == {
        "name": "net.py:build",
        "arguments": {},
        "input_size": [3, 16, 16],
        "preprocessing": {
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "interpolation": "bicubic",
            "resize": None,
            "crop": "center",
            "origin": "assumed",
        },
    }


def test_the_default_folder(run, net, tmp_path):
    run("convert", *net)
    assert (tmp_path / "net-ghost" / "model.safetensors").is_file()


def test_dry_run_saves_nothing(run, net, tmp_path):
    before = set(tmp_path.iterdir())
    result = run("convert", *net, "--dry-run")
    assert result.code == 0
    assert "Totals" in result.out
    assert {path for path in tmp_path.iterdir() if path.name != "__pycache__"} == before


def test_ratio_and_kernel(run, net):
    data = json.loads(
        run("convert", *net, "--dry-run", "-s", "4", "-d", "5", "--format", "json").out
    )
    assert [(row["ratio"], row["dw_size"]) for row in data["layers"][:1]] == [(4, 5)]


def layers(result):
    return {row["layer"]: row["keep"] for row in csv.DictReader(io.StringIO(result.out))}


def test_choosing_layers(run, net):
    dry = ["convert", *net, "--dry-run", "--format", "csv"]
    assert layers(run(*dry)) == {
        "2": "", "5": "", "0": "first convolution (stem)", "4": "depthwise",
    }  # fmt: skip
    assert layers(run(*dry, "--stem"))["0"] == ""
    assert layers(run(*dry, "--exclude", "5"))["5"] == "excluded by 5"
    assert layers(run(*dry, "--include", "5"))["2"] == "not included"
    assert "not cost less" in layers(run(*dry, "--dw-size", "7"))["5"]
    assert layers(run(*dry, "--dw-size", "7", "--all-eligible"))["5"] == ""


def test_model_arguments(run, net):
    result = run("convert", *net, "--model-arg", "width=24", "--dry-run", "--format", "csv")
    assert "3x3, 8→24" in result.out


@pytest.mark.parametrize(("ending", "start"), [("md", "## net"), ("json", "{"), ("csv", "layer,")])
def test_report_files(run, net, tmp_path, ending, start):
    result = run("convert", *net, "--dry-run", "--report", f"report.{ending}")
    assert (tmp_path / f"report.{ending}").read_text(encoding="utf-8").startswith(start)
    assert "Totals" in result.out


def test_an_edited_plan(run, net, tmp_path):
    run("plan", *net, "-o", "plan.json")
    text = (tmp_path / "plan.json").read_text(encoding="utf-8")
    (tmp_path / "plan.json").write_text(text.replace('"ratio": 2', '"ratio": 3', 1), "utf-8")
    data = json.loads(run("convert", *net, "--plan", "plan.json", "--format", "json").out)
    assert [row["ratio"] for row in data["layers"]] == [3, 2, None, None]


def test_weights_of_the_kept_layers(run, net, tmp_path):
    sys.path.insert(0, str(tmp_path))
    from net import build

    original = build()
    torch.save({"state_dict": original.state_dict()}, "weights.pt")
    result = run("convert", *net, "--weights", "weights.pt", "--out", "out")
    assert "weights.pt: 8 tensors loaded" in result.err
    loaded = ghostify.load("out", build())
    assert torch.equal(loaded[0].weight, original[0].weight)
    assert torch.equal(loaded[4].bias, original[4].bias)


def test_weights_of_a_part_of_the_network(run, fails, net, tmp_path):
    sys.path.insert(0, str(tmp_path))
    from net import build

    state = build().state_dict()
    del state["0.weight"]
    torch.save({"model": state, "model_ema": dict(state)}, "weights.pt")
    said = fails("convert", *net, "--weights", "weights.pt")
    assert "it lacks 0.weight" in said
    assert "pass --partial to load what fits" in said
    result = run("convert", *net, "--weights", "weights.pt", "--partial", "--out", "out")
    assert "weights.pt: 7 tensors of model_ema loaded, not those of model; 1 miss" in result.err
    assert "--partial is for --weights: add it" in fails("convert", *net, "--partial")


def test_resnet50(run):
    """The README's first command, which .ci/run runs from a clean clone as well."""
    result = run("convert", "resnet50", "--dry-run")
    text = " ".join(result.out.split())
    assert "Changed: 52" in text
    assert "parameters 25.56M 13.95M 1.83x" in text
    assert "MACs, convolutions + linear 4.089G 2.151G 1.90x" in text


def test_interrupted_while_saving(net, tmp_path):
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))\n"
    )
    slow = (
        "import sys, time, ghostify.artifact.folder as folder\n"
        "def stuck(state, file):\n"
        "    file.write_bytes(b'half')\n"
        "    print('saving', flush=True, file=sys.__stdout__)\n"
        "    time.sleep(60)\n"
        "folder.save_file = stuck\n"
        "from ghostify.cli import main\n"
        "sys.argv = ['ghostify', 'convert', 'net.py:build', '--input', '3x9x9', '--out', 'out']\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "saving\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "_"] == ["net.py"]


def test_an_unknown_initializer(fails, net):
    said = fails("convert", *net, "--init", "magic")
    assert "--init (='magic') must be one of random, weights, calibrated" in said


def test_help_names_the_initializers(run):
    from ghostify.conversion.initialize import INITIALIZERS

    said = run("convert", "--help").out
    assert all(name in said for name in INITIALIZERS)


def test_a_wrong_model_is_not_called_an_option(fails, tmp_path):
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef build():\n    return nn.DataParallel(nn.Conv2d(3, 8, 3))\n"
    )
    said = fails("convert", "net.py:build", "--input", "3x16x16")
    assert "`model` is a DataParallel: pass `model.module`" in said


REP = """
import torch
import torchvision
from torch import nn

class Rep(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(8, 16, 1)

    def forward(self, x):
        return self.wide(x) + self.narrow(x) if self.narrow else self.wide(x)

    def switch_to_deploy(self):
        self.wide.weight.data += nn.functional.pad(self.narrow.weight.data, [1, 1, 1, 1])
        self.wide.bias.data += self.narrow.bias.data
        self.narrow = None

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), Rep(), nn.Flatten(),
                         nn.Linear(4096, 3))
"""


def test_branches_are_merged_first(run, net, fails, tmp_path):
    (tmp_path / "net.py").write_text(REP)
    result = run("convert", *net, "-o", "unmerged")
    assert "warning: Sequential has parallel branches" in result.err
    assert "add --reparameterize" in result.err
    result = run("plan", *net, "--reparameterize", "-o", "plan.json")
    assert "--reparameterize --plan plan.json" in result.err
    result = run("convert", *net, "--reparameterize", "--plan", "plan.json", "-o", "out")
    assert (result.code, "branches" in result.err) == (0, False)
    for command in (["compare"], ["export", "--to", "torch-export"]):
        assert run(command[0], "out", *command[1:], "--model", "net.py:build").code == 0
    assert "merged: drop --reparameterize" in fails(
        "compare", "out", "--model", "net.py:build", "--reparameterize"
    )


def test_no_branches_to_merge(net, fails):
    assert "has no branches to merge: drop --reparam" in fails("convert", *net, "--reparameterize")


def test_a_classifier_of_other_classes(run, fails):
    torch.save(torchvision.models.resnet18(num_classes=7).state_dict(), "seven.pt")
    given = ["convert", "resnet18", "--weights", "seven.pt", "--input", "3x32x32", "--dry-run"]
    said = fails(*given)
    assert "fc.weight is 7x512 instead of 1000x512" in said
    assert "for 7 classes, such as with --model-arg num_classes=7, or pass --partial to" in said
    for more in (["--model-arg", "num_classes=7"], ["--partial"]):
        assert run(*given, *more).code == 0
