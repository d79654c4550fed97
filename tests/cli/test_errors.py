"""What the user can put right is one line on stderr, nothing on stdout, and exit code 1."""

import sys

import pytest
import torch

from ghostify import GhostifyError

DRY = ("--dry-run",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet51"], "unknown model 'resnet51'; did you mean resnet"),
        (
            ["raft_small"],
            "its input size: pass it, such as --input 3x224x224",
        ),
        (["missing.py:build"], "no file missing.py"),
        (["net.py:biuld"], "did you mean build?"),
        (
            ["net.py:build"],
            "build does not declare its input size: pass it, such as",
        ),
        (["resnet18", "--normalize", "0.5"], "must be means and standard deviations such as"),
        (["resnet18", "--normalize", "0.5/0"], "normalize (='0.5/0') must be means and standard"),
        (
            ["net.py:build", "--input", "4x16x16"],
            "does not run on an input of 1x4x16x16: at 0, Conv",
        ),
        (["net.py:build", "--input", "16x16"], "does not run on an input of 1x16x16"),
        (
            ["net.py:build", "--input", "3x0x3"],
            "input (='3x0x3') must be a shape such as",
        ),
        (["net.py:build", "--input", "rgb"], "must be a shape such as 3x224x224"),
        (["resnet18", "--ratio", "1"], "--ratio (=1.0) must be a finite number above 1"),
        (["resnet18", "--ratio", "nan"], "--ratio (=nan) must be a finite number above 1"),
        (["resnet18", "--dw-size", "4"], "--dw-size (=4) must be odd, from 1 to 99"),
        (["resnet18", "--include", "layer5.*"], "pattern 'layer5.*' matches no convolution; did"),
        (["resnet18", "--exclude", "BasicBlok"], "did you mean BasicBlock"),
        (["resnet18", "--model-arg", "classes"], "must be KEY=VALUE, such as num_classes=10"),
        (["resnet18", "--model-arg", "klasses=3"], "resnet18 cannot be built"),
        (["resnet18", "--model-arg", "weights=DEFAULT"], "pass --weights FILE instead"),
        (["resnet18", "--plan", "missing.json"], "missing.json: No such file or directory"),
        (["resnet18", "--weights", "missing.pt"], "missing.pt: No such file or directory"),
        (["resnet18", "--report", "r.pdf"], "must be one of .html, .txt, .json, .csv, .md"),
        (["dir/my.pth"], "such as net.py:build, and pass --weights dir/my.pth"),
        (["net.py:build", "--input", "1x3x16x16"], "leave the batch out of the input's size: 3x16"),
        (["resnet18", "--weights", "net.py", "--pretrained"], "exclude each other"),
        (["resnet18", "--weights", "net.py"], "net.py cannot be read: it is not a file of tensors"),
        (["alexnet", "--include", "features.0"], "nothing to replace in AlexNet"),
        (["resnet18", "--budget", "macs=0"], "'macs=0': the limit (=0) must be a finite number"),
        (
            ["ghostify:cifar_resnet20", "--model-arg", "width=-1"],
            "cannot be built: --model-arg width (=-1) must be a number above 0",
        ),
        (
            ["resnet18", "--normalize", "0,0/1,1,1", "--calibration", "images.pt"],
            "the std of --normalize (=(1.0, 1.0, 1.0)) must have as many values as mean",
        ),
    ],
)
def test_convert(fails, arguments, message):
    assert message in fails("convert", *arguments, *DRY)


def test_options_alone_are_named(fails):
    said = fails("convert", "resnet18", "--budget", "latency=0.5", *DRY)
    assert said.endswith("needs --runtime, such as 'onnxruntime'")


def test_a_plan_for_another_network(fails, run, net):
    run("plan", *net, "-o", "plan.json")
    said = fails("convert", "resnet18", "--plan", "plan.json", *DRY)
    assert "the plan names 0, which the model lacks" in said


def test_a_plan_for_other_geometry(fails, run, net):
    run("plan", *net, "-o", "plan.json")
    said = fails("convert", *net, "--model-arg", "width=24", "--plan", "plan.json", *DRY)
    assert "the plan was made for another 2: 3x3, 8→16 there, 3x3, 8→24 here" in said


def test_a_broken_plan(fails, run, net, tmp_path):
    run("plan", *net, "-o", "plan.json")
    text = (tmp_path / "plan.json").read_text(encoding="utf-8")
    (tmp_path / "plan.json").write_text(text[:-9], "utf-8")
    assert "plan.json: not JSON" in fails("convert", *net, "--plan", "plan.json", *DRY)
    torch.save({}, "weights.pt")
    said = fails("convert", *net, "--plan", "weights.pt", *DRY)
    assert said.endswith("not JSON, but a binary file; ghostify plan -o FILE writes one")
    (tmp_path / "plan.json").write_text(text.replace('"ratio": 2', '"ratio": 1'), "utf-8")
    said = fails("convert", *net, "--plan", "plan.json", *DRY)
    assert "plan.json: invalid plan: layers['2'].ghost: 'ratio' (=1.0) must be a finite" in said


@pytest.mark.parametrize(
    "option",
    [
        ("--ratio", "3"),
        ("-s", "3"),
        ("--dw-size", "3"),
        ("--stem",),
        ("--include", "2"),
        ("--no-prune",),
    ],
)
def test_a_plan_and_planning_options(fails, run, net, option):
    run("plan", *net, "-o", "plan.json")
    assert "--plan already decides what" in fails("convert", *net, "--plan", "plan.json", *option)


def test_the_folder_exists(fails, run, net, tmp_path):
    run("convert", *net, "--out", "out")
    assert "out exists: pass --force to replace it" in fails("convert", *net, "--out", "out")
    assert run("convert", *net, "--out", "out", "--force").code == 0
    for force in ((), ("--force",)):
        said = fails("convert", *net, "--out", tmp_path, *force)
        assert "not a ghostify artifact: choose another path" in said


def test_a_converted_network_is_not_converted_again(fails, run, net):
    run("convert", *net, "--out", "out")
    assert "out is a folder of a converted network" in fails("convert", "out", *DRY)


def test_force_keeps_what_is_not_the_artifacts(run, net, tmp_path):
    run("convert", *net, "--out", "out")
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    assert run("convert", *net, "--out", "out", "--force").code == 0
    assert (tmp_path / "out" / "thesis.tex").read_text() == "mine"


def test_the_reports_folder_is_missed_before_the_work(fails, net, tmp_path):
    assert "no folder nowhere" in fails("convert", *net, "--out", "o", "--report", "nowhere/r.md")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"ratio": 2', '"ratio": 1' + 400 * "0", "'ratio' (="),
        ('"geometry": {', '"geometry": [], "x": {', "layers['0']: unknown key 'x'"),
        ('"functional": false', '"functional": true', "cannot be replaced"),
    ],
)
def test_an_edit_that_went_wrong(fails, run, net, tmp_path, old, new, said):
    run("plan", *net, "-o", "plan.json")
    text = (tmp_path / "plan.json").read_text(encoding="utf-8").replace(old, new)
    if "functional" in old:
        text, said = text.replace('"2": {', '"two": {'), "names two, which the model lacks"
    (tmp_path / "plan.json").write_text(text, encoding="utf-8")
    assert said in fails("convert", *net, "--plan", "plan.json", *DRY)


def test_an_input_beyond_memory(fails, net):
    wrong = [*net[:-1], "3x999999x999999"]
    assert "needs more memory than there is" in fails("convert", *wrong, *DRY)


def test_a_file_named_as_a_module_in_use(run, net, tmp_path):
    (tmp_path / "sub").mkdir()
    text = (tmp_path / "net.py").read_text(encoding="utf-8")
    (tmp_path / "sub" / "inspect.py").write_text(text, encoding="utf-8")
    assert run("analyze", "sub/inspect.py:build", *net[1:]).code == 0


def test_a_file_without_a_factory(fails):
    assert "net.py:FACTORY" in fails("convert", "net.py", *DRY)


def test_a_checkpoint_with_code(fails, net):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("code of the checkpoint ran",))

    torch.save({"state_dict": Bomb()}, "bomb.pt", _use_new_zipfile_serialization=False)
    said = fails("convert", *net, "--weights", "bomb.pt", *DRY)
    assert "loading it could run code" in said


def test_a_folder_that_cannot_be_written(fails, net, tmp_path):
    (tmp_path / "file").touch()
    assert "file" in fails("convert", *net, "--out", "file/out")
    assert "nowhere" in fails("plan", *net, "-o", "nowhere/plan.json")


def test_markup_in_names_is_text(fails):
    assert "[bold]" in fails("convert", "[bold]x", *DRY)


def test_a_wrong_option_shows_usage(run):
    result = run("convert", "resnet18", "--ratoi", "2")
    assert result.code == 2
    assert "--ratio" in result.err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("convert", "--out"),
        ("convert", "--report"),
        ("plan", "--out"),
        ("search", "--out"),
        ("sensitivity", "--out"),
        ("sensitivity", "--plot"),
        ("benchmark", "--out"),
        ("benchmark", "--plot"),
        ("export", "--out"),
        ("redundancy", "--out"),
    ],
)
def test_a_target_is_checked_before_work_begins(fails, net, monkeypatch, command, option):
    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("ghostify.models.build", None)
    endings = {"--plot": "svg", "--report": "csv"}
    ending = endings.get(option, {"export": "pt2", "redundancy": "png"}.get(command, "json"))
    more = ["--budget", "macs=0.5", "--calibration", "digits"] if command == "search" else []
    said = fails(command, *net, *more, option, f"out.{ending}")
    assert said == f"error: cannot write out.{ending}: the file system is read-only"


@pytest.mark.parametrize("command", ["convert", "plan", "search", "sensitivity"])
def test_a_device_that_is_not_there(fails, net, command):
    images = ["--budget", "macs=0.5", "--calibration", "digits"] if command == "search" else []
    said = fails(command, *net, *images, "--device", "tpu9")
    assert "--device (='tpu9') is not available: try cpu" in said


@pytest.mark.parametrize(
    "name",
    ["\x1b[2J\x1b[31mnet.py:build", "net\x9b31m:build", "resnet\u202e81", "net\udce9.py:build"],
)
def test_control_characters_of_names_do_not_reach_the_terminal(fails, name):
    said = fails("analyze", name)
    assert said.isprintable()
    assert "\\u" in said


def test_a_line_break_in_a_name_begins_no_line(fails):
    assert "net.py error: forged" in fails("analyze", "net.py\nerror: forged:build")


@pytest.mark.parametrize("option", [(), ("--weights",), ("--include",), ("--normalize",)])
def test_an_error_line_has_a_bounded_length(fails, option):
    said = fails("plan", *(["resnet18"] if option else ()), *option, "x" * 50_000)
    assert len(said) < 1100
    assert said.startswith("error: ")


def test_of_a_long_error_the_advice_is_left(fails, monkeypatch):
    def refuse(*_, **__):
        raise GhostifyError(f"all of {', '.join(map(str, range(9999)))} are wrong: pass `lr`")

    monkeypatch.setattr("ghostify.models.build", refuse)
    said = fails("analyze", "resnet18")
    assert said.startswith("error: all of 0, 1, 2, 3, ")
    assert said.endswith(", 9997, 9998 are wrong: pass `lr`")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 8.8 GiB for an array"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8.00 GiB.\nGPU 0 has ..."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory(fails, monkeypatch, error):
    def build(*_, **__):
        raise error

    monkeypatch.setattr("ghostify.models.build", build)
    said = fails("analyze", "resnet18")
    reason = str(error).splitlines()[0]
    assert said == f"error: out of memory ({reason}): use smaller batches, or fewer images"


def test_another_error_keeps_its_traceback(run, monkeypatch):
    def build(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr("ghostify.models.build", build)
    with pytest.raises(RuntimeError, match="a bug"):
        run("analyze", "resnet18")


def test_a_page_without_jinja_is_missed_before_the_work(fails, net, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr("ghostify.models.build", None)
    assert "a page needs Jinja2" in fails("convert", *net, "--report", "page.html")
