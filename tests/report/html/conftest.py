"""An artifact with all measurements, without a network."""

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from ghostify import GhostSpec, Plan
from ghostify.io.checksummed_json import checksummed
from ghostify.io.measurements import record
from ghostify.io.recipe import Recipe, Weights, write_recipe
from ghostify.report.evaluation import Evaluation, EvaluationRow
from ghostify.report.timing import Measurement, Spread, Timing
from ghostify.types import (
    ConvSite,
    Decision,
    Fidelity,
    Geometry,
    ModelSource,
    PlanCandidate,
    Recovery,
    RecoverySettings,
    Score,
    Sensitivity,
)


def site(name, maps=16, side=8):
    geometry = Geometry(
        in_channels=maps, out_channels=maps, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1),
        dilation=(1, 1), groups=1, bias=False, padding_mode="zeros",
    )  # fmt: skip
    return ConvSite(
        name=name, type="Conv2d", geometry=geometry, output=(side, side), calls=1,
        positions=side * side, seen="graph",
    )  # fmt: skip


def write_artifact(folder, sites, *, model="net", kept=()):
    """A recipe without weights: every site at s=2, the kept ones dense."""
    folder.mkdir(exist_ok=True)
    plan = Plan(
        tuple(
            Decision(s, keep="excluded") if s.name in kept else Decision(s, ghost=GhostSpec())
            for s in sites
        )
    )
    residuals = {name: 0.01 * place for place, name in enumerate(plan.replaced)}
    score = Score(20, agreement=0.95, kl=0.01, relative_error=0.02)
    recipe = Recipe(
        versions={"ghostify": "0.1.0", "torch": "2.9.0"},
        model=model,
        created="2026-11-25T18:00:00+00:00",
        source=ModelSource(model, input_size=(3, 8, 8)),
        options={"budget": ["macs=0.5"]},
        plan=plan,
        fidelity=Fidelity("calibrated", residuals, 80, score),
        weights=Weights("model.safetensors", "0" * 64),
    )
    write_recipe(folder, recipe)
    return folder


def measure_everything(folder, sites, model="net", agreement=None, speedup=1.5):
    count = {"weight_bytes": 4000, "uncounted": {}, "counter": "fvcore"}
    record(folder, "costs", {
        "model": model, "input": "1x3x8x8",
        "before": count | {"params": 1000, "macs": {"conv": 60_000, "linear": 4_000}},
        "after": count | {"params": 500, "macs": {"conv": 28_000, "linear": 4_000}},
    })  # fmt: skip
    ghost = GhostSpec()
    record(folder, "sensitivity", Sensitivity(
        unit="KL (nats)",
        measured=True,
        layers={s.name: {ghost: 0.25 + place} for place, s in enumerate(sites)},
    ).to_dict())  # fmt: skip
    for runtime in ("eager", "openvino"):
        pair = [
            Measurement(
                name, runtime, 1, 1, 9, Spread(t, t, t), Spread(s, s, s), 1000, "1.2", "A CPU"
            )
            for name, t, s in ((model, 0.003, 1.0), ("out", 0.003 / speedup, speedup))
        ]
        timing = Timing("1x3x8x8", {model: 64_000, "out": 32_000}, "bytes", tuple(pair))
        record(folder, "timing", timing.to_dict(), part=runtime)
    for plan, uniform, share in (("macs=0.5", False, 0.94), ("macs=0.5, one s", True, 0.875)):
        score = Score(20, agreement=agreement or share, kl=0.3, relative_error=0.1)
        candidate = PlanCandidate(plan, uniform, 30_000, score)
        record(folder, "plan-candidate", candidate.to_dict(), part=plan)
    rows = {
        name: EvaluationRow(Score(50, top1=top1), 64_000, 1000)
        for name, top1 in (("original", 0.92), ("converted", 0.9))
    }
    record(folder, "evaluation", Evaluation("digits", 50, rows).to_dict())
    record(folder, "export", {
        "path": "out.onnx", "to": "onnx", "batch": None, "inputs": 3, "max_abs_error": 1.5e-6,
        "max_relative_error": 2e-7, "size": 2345, "note": "",
    }, part="onnx")  # fmt: skip


def add_recovery(folder):
    score = Score(50, top1=0.91)
    history = [
        {"epoch": epoch, "loss": 1 / epoch, "score": {"images": 50, "top1": 0.9 + epoch / 200}}
        for epoch in (1, 2)
    ]
    recovery = Recovery(
        RecoverySettings(), 20, 640, 12.5, "epochs", Score(50, top1=0.92), Score(50, top1=0.9),
        score, best_epoch=2, history=tuple(history),
    )  # fmt: skip
    lineage = ["converted", "recovered"]
    changed_recipe(
        folder, lambda recipe: recipe.update(recovery=recovery.to_dict(), lineage=lineage)
    )


@pytest.fixture
def make():
    """Functions that make artifacts, such as ``make.site`` and ``make.measure``."""
    return SimpleNamespace(
        site=site,
        artifact=write_artifact,
        measure=measure_everything,
        change=changed_recipe,
        train=add_recovery,
    )


@pytest.fixture
def sites():
    return [site("stem"), site("body.0.conv"), site("body.1.conv"), site("head")]


@pytest.fixture
def artifact(tmp_path, sites):
    return write_artifact(tmp_path / "out", sites, kept=("stem",))


@pytest.fixture
def measured(artifact, sites):
    measure_everything(artifact, sites)
    return artifact


class Page(HTMLParser):
    """The visible text of a page, its headings, and its tags."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.headings, self.text, self._open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] in ("style", "script"):
            return
        self.text.append(data)
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def read():
    return lambda file: Page(file.read_text(encoding="utf-8"))


def changed_recipe(folder, change):
    recipe = json.loads((folder / "ghostify.json").read_text())
    recipe.pop("digest")
    change(recipe)
    (folder / "ghostify.json").write_text(checksummed(recipe))
