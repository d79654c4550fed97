"""The whole zoo: every network converts, runs in both modes, trains, and is saved and loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SWEEP = Path(__file__).parents[2] / "examples" / "benchmarks" / "coverage"

# Networks that may fail, and why.
KNOWN = {
    "torchvision:regnet_y_128gf": "645 M parameters: to build it, and to save and load it twice, "
    "takes most machines longer than the minute of processor time that each network has",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    for library in ("timm", "segmentation_models_pytorch", "transformers", "ultralytics"):
        pytest.importorskip(library, reason="the sweep wants all of pip install '.[zoo]'")
    file = tmp_path_factory.mktemp("sweep") / "findings.json"
    subprocess.run([sys.executable, SWEEP, "--json", file], check=True)
    return json.loads(file.read_text(encoding="utf-8"))


def test_every_network_passes(findings):
    assert len(findings) > 290
    faults = {finding["name"]: finding["faults"] for finding in findings if finding["faults"]}
    assert {name: found for name, found in faults.items() if name not in KNOWN} == {}


def test_every_convolution_is_replaced_or_kept_with_a_reason(findings):
    for finding in findings:
        assert finding["replaced"] + sum(finding["kept"].values()) == finding["sites"]
        assert "" not in finding["kept"]


def test_nearly_all_candidates_are_replaced(findings):
    candidates = sum(finding["candidates"] for finding in findings)
    kept = sum(len(finding["kept_candidates"]) for finding in findings)
    assert candidates > 10_000
    assert kept / candidates < 0.05


def test_most_planned_networks_have_a_plan_within_half_of_the_macs(findings):
    planned = [finding for finding in findings if finding["narrowed"] or finding["ghosts"]]
    within = [finding for finding in planned if finding["share"] == 0.5]
    assert len(within) > 0.5 * len(planned)
    assert sum(finding["narrowed"] for finding in planned) > 500
