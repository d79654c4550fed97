"""``ghostify sensitivity``, and plans for a budget by what it has measured."""

import csv
import io
import json

import pytest

from ghostify import Plan
from ghostify.types import Sensitivity


def planned(result):
    return Plan.from_json(result.out).replaced


@pytest.mark.parametrize("measured", [True, False])
def test_a_table_of_sensitivities(run, net, tensor, measured):
    result = run("sensitivity", *net, *(["--calibration", tensor] if measured else []))
    assert result.code == 0, result.err
    unit = "relative error" if measured else "share of the filters"
    assert result.out.startswith(f"net.py:build: sensitivity of each layer, {unit}\n")
    assert ("Measured on data" in result.out) == measured
    assert ("without data" in result.out) == (not measured)
    names = [line.split()[0] for line in result.out.splitlines() if line[:1].isdigit()]
    assert names == ["0", "2", "5"]


def test_a_pipe_is_as_wide_as_it_needs(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    lines = run("sensitivity", "squeezenet1_1").out.splitlines()
    assert any(line.startswith("features.12.expand3x3 ") for line in lines)


def test_for_programs(run, net):
    rows = list(csv.DictReader(io.StringIO(run("sensitivity", *net, "--format", "csv").out)))
    assert {row["layer"] for row in rows} == {"0", "2", "5"}
    assert all(int(row["macs_after"]) < int(row["macs_before"]) for row in rows if row["layer"])
    text = run("sensitivity", *net, "--format", "json").out
    assert set(Sensitivity.from_json(text).layers) == {"0", "2", "5"}


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_file_and_a_plot(run, net, tmp_path, ending, start):
    pytest.importorskip("matplotlib")
    result = run("sensitivity", *net, "-o", "s.json", "--plot", f"s.{ending}")
    assert result.code == 0, result.err
    assert result.err.startswith("Saved to s.json. To plan by it: ghostify plan net.py:build")
    assert (tmp_path / f"s.{ending}").read_bytes().startswith(start)
    kept = Sensitivity.from_json((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert not kept.measured


@pytest.mark.parametrize("file", ["s.xyz", "s"])
def test_a_plot_of_no_known_kind_is_missed_before_the_work(fails, net, tmp_path, file):
    pytest.importorskip("matplotlib")
    said = fails("sensitivity", *net, "-o", "s.json", "--plot", file)
    assert f"cannot plot to {file}: the ending must be one such as .png or .svg" in said
    assert not (tmp_path / "s.json").exists()


def test_files_that_cannot_be_written_are_missed_before_the_work(fails, net):
    assert "no folder nowhere" in fails("sensitivity", *net, "-o", "nowhere/s.json")
    assert "no folder nowhere" in fails("sensitivity", *net, "--plot", "nowhere/s.png")
    assert "'missing' is no source of images: name a folder" in fails(
        "sensitivity", *net, "--calibration", "missing"
    )


def test_from_measurement_to_artifact(run, net, tensor, tmp_path):
    run("sensitivity", *net, "--calibration", tensor, "-o", "s.json")
    budget = ["--budget", "macs=0.75", "--sensitivity", "s.json"]
    result = run("plan", *net, *budget, "-o", "p.json")
    assert result.code == 0
    assert "Predicted relative error" in result.out
    plan = Plan.from_json((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert "0" not in plan.replaced
    made = run("convert", *net, "--plan", "p.json", "--out", "out", "--format", "json")
    data = json.loads(made.out)
    assert data["after"]["macs"]["conv"] <= 0.75 * data["before"]["macs"]["conv"]
    replaced = {row["layer"]: row["ratio"] for row in data["layers"] if not row["keep"]}
    assert replaced == {name: ghost.ratio for name, ghost in plan.replaced.items()}
    direct = run("convert", *net, *budget, "--dry-run", "--format", "json")
    assert [row["ratio"] for row in json.loads(direct.out)["layers"]] == [
        row["ratio"] for row in data["layers"]
    ]


def test_the_measurements_decide(run, net, tmp_path):
    """Layer 2 alone meets the budget. It is kept if its sensitivity is high; widths do not pay."""
    run("sensitivity", *net, "-o", "s.json")
    data = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    found = []
    for value in (1e-9, 1e9):
        for entry in data["layers"]["2"]:
            entry["value"] = value * entry["ratio"]
        for widths in data["widths"].values():
            widths["increases"] = [1e12] * len(widths["increases"])
        (tmp_path / "s.json").write_text(json.dumps(data), encoding="utf-8")
        found.append(planned(run("plan", *net, "--budget", "macs=0.95", "--sensitivity", "s.json")))
    assert list(found[0]) == ["2"]
    assert list(found[1]) == ["5"]


def test_trying_plans(run, net, tensor):
    given = ["--budget", "macs=0.75", "--calibration", tensor]
    result = run("search", *net, *given)
    assert result.code == 0, result.err
    assert Plan.from_json(result.out).changed
    assert "Compared on" in result.err
    assert "chosen" in result.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--calibration", "images.pt"], "--calibration is for a --budget"),
        (["--sensitivity", "s.json"], "--sensitivity is for a --budget"),
        (["--budget", "macs=0.8", "--ratio", "2"], "drop --ratio and --dw-size"),
        (["--budget", "macs=0.8", "--sensitivity", "s.json"], "No such file or directory"),
        (["--budget", "macs=0.01"], "budget macs=0.01 cannot be met"),
    ],
)
def test_plans_that_cannot_be_made(fails, net, tensor, options, message):
    assert message in fails("plan", *net, *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "search needs --budget and --calibration"),
        (["--budget", "macs=0.8"], "search needs --budget and --calibration"),
        (
            ["--budget", "macs=0.8", "--calibration", "images.pt", "--images", "9"],
            "at least ten calibration images",
        ),
    ],
)
def test_searches_that_cannot_be_made(fails, net, tensor, options, message):
    assert message in fails("search", *net, *options)


def test_measurements_of_another_model(fails, run, net, tmp_path):
    run("sensitivity", "squeezenet1_1", "--input", "3x32x32", "-o", "s.json")
    said = fails("plan", *net, "--budget", "macs=0.8", "--sensitivity", "s.json")
    assert "--sensitivity was measured on 1x3x32x32, not on 1x3x16x16: measure it again" in said
    net = [net[0], "--input", "3x32x32"]
    said = fails("plan", *net, "--budget", "macs=0.8", "--sensitivity", "s.json")
    assert "2 is not in the sensitivity: measure it again" in said
    assert "2 is not in" in fails(
        "convert", *net, "--budget", "macs=0.8", "--sensitivity", "s.json", "--out", "out"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "s.json: not JSON"), ("{}", "s.json: invalid sensitivity"), ("\udcff", "s.json:")],
)
def test_broken_measurements(fails, net, tmp_path, text, message):
    (tmp_path / "s.json").write_bytes(text.encode(errors="surrogateescape"))
    assert message in fails("plan", *net, "--budget", "macs=0.8", "--sensitivity", "s.json")
