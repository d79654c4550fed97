"""Makes, trains and scores the networks of a compression, and keeps them in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf, isnan
from pathlib import Path

from torch import nn

from ghostify.analysis import analyze
from ghostify.artifact.artifact import load, save
from ghostify.compression.images import Images
from ghostify.conversion.convert import convert
from ghostify.conversion.sensitivity import sensitivity
from ghostify.deployment.benchmark import benchmark
from ghostify.deployment.layer_latency import layer_latency
from ghostify.evaluation.evaluate import evaluate
from ghostify.io.atomic import TRAINING, write_text
from ghostify.io.checksummed_json import checksummed
from ghostify.io.progress import progress_bar
from ghostify.planning.budget import Budgets, UnmetBudgetError, parse_budgets
from ghostify.planning.loss_increase import loss_increases
from ghostify.planning.plan import plan_sites
from ghostify.report.evaluate_models import evaluation_row
from ghostify.training.checkpoint import has_checkpoint, remove_training
from ghostify.training.recover import recover
from ghostify.types import (
    ConvSite,
    LayerLatencies,
    Outputs,
    Plan,
    RecoverySettings,
    Sensitivity,
    Trial,
    Trials,
)
from ghostify.types.progress import ShowProgress

RECORD, SENSITIVITY = "trials.json", "sensitivity.json"

_TIMING = 2.0
"""Seconds to time a network for."""


@dataclass
class TrialRunner:
    """Runs trials one by one.

    Attributes:
        model: the original.
        images: which images are for what.
        outputs: what the outputs of the model are.
        runtime: where to measure latencies, which budgets limit then; None limits MACs.
        threads: number of threads of the runtime.
        settings: how to train.
        device: where to train, as in `recover`.
        folder: where networks and the record of them are.
        record: what has been tried so far.
        on_trial: called with each trial, first with those of the record.
        progress: whether to show progress bars, or a function.
    """

    model: nn.Module
    images: Images
    outputs: Outputs
    runtime: str | None
    threads: int
    settings: RecoverySettings
    device: str | None
    folder: Path
    record: Trials
    on_trial: Callable[[Trial], None]
    progress: ShowProgress
    _since: float = field(default=0.0, init=False)
    _losses: dict[float, float] = field(default_factory=dict, init=False)

    def prepare(self) -> Trial:
        """Measure what all plans need, and score the original."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._keep(self.record)
        for taken_over in filter(None, (self.record.original, *self.record.tried)):
            self.on_trial(taken_over)
        self._since = time.perf_counter()
        _ = self._sensitivity, self._latencies
        if self.record.original is None:
            original = self._trial("original", "original", self.model, 1.0, 0.0)
            self._keep(replace(self.record, original=original))
            self.on_trial(original)
            return original
        return self.record.original

    def predicted_loss(self, share: float) -> float:
        """Return the predicted loss increase for a share of the cost; inf if no plan reaches it."""
        if share not in self._losses:
            try:
                plan = self._plan(self._budget(share))
            except UnmetBudgetError:
                self._losses[share] = inf
            else:
                self._losses[share] = sum(loss_increases(plan, self._sensitivity).values())
        return self._losses[share]

    def convert(self, budget: Budgets, share: float | None = None) -> Trial:
        """Plan within a budget, convert and fit.

        Raises:
            UnmetBudgetError: if no plan is within the budget.
        """
        converted = convert(
            self.model, self.images.example, plan=self._plan(budget),
            calibration=self.images.calibration, outputs=self.outputs, progress=self.progress,
        )  # fmt: skip
        return self._add(", ".join(map(str, parse_budgets(budget))), converted, share, 0.0)

    def convert_to(self, share: float) -> Trial:
        """Convert to a share of the cost, as in `convert`, unless that was done before."""
        for trial in self.record.tried:
            if trial.share == share and not trial.is_trained:
                return trial
        return self.convert(self._budget(share), share)

    def train(self, trial: Trial, minutes: float) -> Trial:
        """Train the network of a trial; continue that if it was interrupted."""
        folder = self.folder / f"{trial.name}-training-{minutes:.4g}-min"
        network, _ = recover(
            self.model, self.network(trial), self.images.training,
            replace(self.settings, minutes=minutes), validation=self.images.validation,
            outputs=self.outputs, example=self.images.example, folder=folder / TRAINING,
            device=self.device,
            resume=has_checkpoint(folder / TRAINING), progress=self.progress,
        )  # fmt: skip
        trained = self._add(trial.budget, network, trial.share, trial.minutes + minutes)
        for left in self.folder.glob(f"{trial.name}-training-*"):  # of other minutes, too
            remove_training(left)
        return trained

    def network(self, trial: Trial) -> nn.Module:
        """Read the network of a trial."""
        return load(self.folder / trial.name, self.model)

    def finish(self) -> None:
        """Record that the search has ended; a later one has its own time."""
        self._keep(replace(self.record, finished=self.record.seconds))

    @cached_property
    def _sites(self) -> tuple[ConvSite, ...]:
        return analyze(self.model, self.images.example)

    @cached_property
    def _latencies(self) -> LayerLatencies | None:
        if self.runtime is None:
            return None
        return layer_latency(
            self.model, self.images.example, runtime=self.runtime, threads=self.threads,
            prune=True, progress=self.progress,
        )  # fmt: skip

    @cached_property
    def _sensitivity(self) -> Sensitivity:
        file = self.folder / SENSITIVITY
        if file.is_file():
            return Sensitivity.load(file)
        found = sensitivity(
            self.model, self.images.example, calibration=self.images.calibration,
            outputs=self.outputs, progress=self.progress,
        )  # fmt: skip
        found.save(file)
        return found

    def _budget(self, share: float) -> str:
        return f"{'latency' if self.runtime else 'macs'}={share:g}"

    def _plan(self, budget: Budgets) -> Plan:
        with progress_bar("planning", self.progress):
            return plan_sites(
                self._sites, budget=budget, sensitivity=self._sensitivity,
                latencies=self._latencies,
            )  # fmt: skip

    def _add(self, budget: str, network: nn.Module, share: float | None, minutes: float) -> Trial:
        """Score and save a network."""
        name = f"{len(self.record.tried) + 1:02}-{budget.replace(', ', '-')}"
        name += "-trained" if minutes else ""
        trial = self._trial(name, budget, network, share, minutes)
        save(network, self.folder / name, force=True)
        self._keep(replace(self.record, tried=(*self.record.tried, trial)))
        self.on_trial(trial)
        return trial

    def _trial(
        self, name: str, budget: str, network: nn.Module, share: float | None, minutes: float
    ) -> Trial:
        score = evaluate(
            network, self.images.validation, teacher=self.model, outputs=self.outputs,
            progress=self.progress,
        )  # fmt: skip
        original = self.record.original
        drop = 0.0 if original is None else score.drop_from(original.score)
        drop = inf if isnan(drop) else drop
        costs = evaluation_row(network, score, self.images.example)
        latency, speedup = self._time(network)
        before, self._since = self._since, time.perf_counter()
        return Trial(
            name, budget, share, minutes, costs.macs, costs.params, score, drop, latency, speedup,
            seconds=self._since - before,
        )  # fmt: skip

    def _time(self, network: nn.Module) -> tuple[float | None, float | None]:
        """Return latency and speed-up of a network in the runtime."""
        if self.runtime is None:
            return None, None
        networks = {"original": self.model}
        if network is not self.model:
            networks["network"] = network
        timing = benchmark(
            networks, self.images.example, runtime=self.runtime, threads=self.threads,
            seconds=_TIMING, progress=self.progress,
        )  # fmt: skip
        found = timing.measurements[-1]
        return found.seconds.median, found.speedup.median

    def _keep(self, record: Trials) -> None:
        self.record = record
        write_text(self.folder / RECORD, checksummed(record.to_dict()))
