"""Commands let an artifact remember what they measured of it."""

import pytest

from ghostify.io.measurements import recorded
from ghostify.report.timing import Timing
from ghostify.types import PlanCandidate, Sensitivity

OWN = ["--model", "net.py:build", "--input", "3x16x16"]


@pytest.fixture
def out(run, net, tmp_path):
    assert run("convert", *net, "--out", "out").code == 0
    return tmp_path / "out"


def test_convert_and_compare(run, out):
    (costs,) = recorded(out, "costs")
    assert costs["model"] == "net.py:build"
    assert costs["before"]["params"] > costs["after"]["params"]
    (out / "measurements" / "costs.json").unlink()
    assert run("compare", "out", *OWN).code == 0
    assert recorded(out, "costs") == [costs]


def test_convert_within_a_budget(run, net, tensor, tmp_path):
    assert run("convert", *net, "--budget", "macs=0.7", "--calibration", tensor).code == 0
    (found,) = recorded(tmp_path / "net-ghost", "sensitivity")
    assert Sensitivity.from_dict(found).measured


def test_benchmark(run, out):
    run("benchmark", "out", *OWN, "--seconds", "0", "--batch", "1,2")
    run("benchmark", "out", *OWN, "--seconds", "0")
    run("benchmark", "out", *OWN, "--seconds", "0", "--against", "squeezenet1_1", "--batch", "3")
    found = [Timing.from_dict(data) for data in recorded(out, "timing")]
    assert [[m.batch for m in timing.measurements] for timing in found] == [[1, 1], [2, 2]]


def test_export(run, out):
    result = run("export", "out", *OWN, "-o", "ghost.pt2")
    assert result.code == 0, result.err
    (found,) = recorded(out, "export")
    assert found["path"] == "ghost.pt2"
    assert found["size"] == (out.parent / "ghost.pt2").stat().st_size


def test_sensitivity_and_plans_of_the_original(run, out, tensor):
    options = [*OWN, "--calibration", tensor]
    result = run("sensitivity", "out", *options)
    assert result.code == 0, result.err
    assert result.out.startswith("net.py:build: sensitivity")
    assert len(recorded(out, "sensitivity")) == 1
    result = run("search", "out", *options, "--budget", "macs=0.7", "-o", "plan.json")
    assert result.code == 0, result.err
    found = [PlanCandidate.from_dict(data) for data in recorded(out, "plan-candidate")]
    assert {candidate.plan for candidate in found} >= {"macs=0.7", "macs=0.7, one s"}
    assert all(c.score.images == 3 and c.macs > 0 for c in found)


def test_a_folder_that_cannot_be_written(run, out, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("ghostify.artifact.artifact.record", refuse)
    result = run("benchmark", "out", *OWN, "--seconds", "0")
    assert result.code == 0
    assert result.err.startswith("warning: out does not remember the timing: no space left")


def test_a_model_for_a_network_that_is_no_folder(fails, net):
    assert "--model is for a folder" in fails("sensitivity", *net, "--model", "resnet18")
    assert "--model is for a folder" in fails("plan", *net, "--model", "resnet18")
