"""What all tests share."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks; pytest -n runs one a core

import torch
from hypothesis import settings
from torch import nn

import ghostify
from ghostify.types import Decision, Example, Plan

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

MAY_BE_SKIPPED = (
    "no chromium here",  # nor rights to install it
    "no axe-core here",  # nor npm to install it
    "needs a GPU",
    "no way to claim room",  # macOS
    "requires PyTorch 2.9",  # where the lowest versions are run
    "others have no arenas",  # C libraries other than glibc
    "this system does not tell",  # the peak of memory, but for Linux
)
"""Reasons for which CI may skip a test; any other skip fails."""

settings.register_profile("ghostify", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ghostify")
os.environ.setdefault("COLUMNS", "80")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def pytest_collection_finish() -> None:
    """Look no more for garbage among what the libraries keep: `benchmark` collects often."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _checked((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _checked((yield))


def _checked(report: Report) -> Report:
    """Fail a skip that has no reason in the list, where ``CI`` is set."""
    if "CI" in os.environ and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2]
        if not any(known in reason for known in MAY_BE_SKIPPED):
            report.outcome, report.longrepr = "failed", f"{reason}, which is not in MAY_BE_SKIPPED"
    return report


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tests that fork have a process of their own.

    A fork has none of the threads that autograd may have started in tests before, and waits for
    ever for those of OpenMP.
    """
    if pyfuncitem.get_closest_marker("alone") is None or "ALONE" in os.environ:
        return None
    options = ["-q", "-m", "", "-p", "no:cacheprovider"]  # slow tests too
    command = [sys.executable, "-m", "pytest", *options, pyfuncitem.nodeid]
    done = subprocess.run(
        command,
        cwd=pyfuncitem.config.rootpath,
        env=os.environ | {"ALONE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return True


class SmallNet(nn.Module):
    """A stem, a residual block with a depthwise convolution, and a head; 3x16x16 inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.project = nn.Conv2d(32, 32, 1)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.norm(self.wide(self.stem(x).relu())).relu()
        x = x + self.project(self.depthwise(x))
        return self.head(x.mean((2, 3)))


@pytest.fixture(autouse=True)
def _few_images():
    """Most tests have too few images to hold some out."""
    warnings.filterwarnings("ignore", "too few images")


@pytest.fixture
def as_trained() -> Callable[[nn.Module], nn.Module]:
    """Gives a random network what tells a trained one: statistics, weights of any size."""

    def change(network: nn.Module) -> nn.Module:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.fill_(0.01)
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.data *= 1.1
                if module.bias is not None:
                    module.bias.data += 0.01
        return network

    return change


@pytest.fixture(scope="session")
def narrowing_plan() -> Callable[..., Plan]:
    """Makes plans that drop a random part of all channels that can be dropped."""

    def plan(model: nn.Module, example: Example, share=0.5, ghost=None) -> Plan:
        decisions = []
        for site in ghostify.analyze(model, example):
            replaced = ghost is not None and site.ineligible is None and not site.stem
            decision = Decision(site, ghost) if replaced else Decision(site, keep="a test")
            if site.region is not None:
                outputs = site.geometry.out_channels
                width = max(int(share * outputs), 2 if replaced else 1)
                channels = torch.randperm(outputs)[:width].sort().values.tolist()
                decision = replace(decision, width=width, channels=tuple(channels))
            decisions.append(decision)
        return Plan(tuple(decisions))

    return plan


@pytest.fixture
def small_net(as_trained) -> SmallNet:
    return as_trained(SmallNet())


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(1, 3, 16, 16)


CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium, driven by Playwright."""
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser")
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with driver.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def axe() -> str:
    """axe-core's script, from where npm has put it."""
    folders = [os.environ.get("NODE_PATH", ""), "node_modules", "/usr/local/lib/node_modules"]
    for folder in filter(None, folders):
        file = Path(folder, "axe-core", "axe.min.js")
        if file.is_file():
            return file.read_text(encoding="utf-8")
    pytest.skip("no axe-core here: npm install --no-save axe-core")
