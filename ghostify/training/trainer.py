"""The training loop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.analysis.preserve import eval_mode, preserve_rng
from ghostify.data import images_in
from ghostify.evaluation.evaluate import compute_score
from ghostify.evaluation.output_kinds import find_outputs, known_outputs
from ghostify.training import objectives
from ghostify.training.accelerator import reduce_sum
from ghostify.training.checkpoint import (
    Checkpoint,
    tensorboard_writer,
    write_checkpoint,
    write_history,
)
from ghostify.training.clock import Budget, Clock, lr_at, phase_at
from ghostify.training.loader import ShardedLoader
from ghostify.training.optim import make_optimizers
from ghostify.training.state import Position, TrainingState
from ghostify.types import Example, GhostifyError, Outputs, Recovery, RecoverySettings, Score
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import TrainingProgress

if TYPE_CHECKING:
    from accelerate import Accelerator

_SYNC_EVERY = 20
"""Steps between two synchronizations with a device."""

_SHOW_EVERY = 0.2
"""Seconds between two progress reports."""

OnEpoch = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training, or one stage of it; see `recover`. ``folder`` is that of the stage."""

    teacher: nn.Module
    data: Iterable[Any]
    validation: Iterable[Any] | None
    settings: RecoverySettings
    example: Example | None
    folder: Path | None
    device: str | None
    resume: bool
    tensorboard: bool
    report: Callable[[TrainingProgress], None]
    on_epoch: OnEpoch
    outputs: OutputsLike = None
    stage: int = 1
    stages: int | None = None


class Trainer:
    """Trains a copy of a student. The main process writes checkpoints and history."""

    def __init__(self, accelerator: Accelerator, job: Job, student: nn.Module) -> None:
        self.accelerator, self.job, self.settings = accelerator, job, job.settings
        self.teacher = self.place(frozen_copy(job.teacher))
        self.student = self.place(copy_model(student))
        self.loader = ShardedLoader(job.data, accelerator, self.settings)
        self.validation = None
        if job.validation is not None:
            self.validation = ShardedLoader(job.validation, accelerator, self.settings, even=False)
        self.budget = Budget.of(self.settings, self.loader)
        self.folder = job.folder if accelerator.is_main_process else None
        self.state = TrainingState(self.student, self.settings, accelerator)
        self.clock = Clock(accelerator)
        self.outputs = Outputs()
        self._layers: dict[str, str] = {}
        self._objective: Any = None
        self._trainable: list[nn.Parameter] = []
        self._written_step, self._written_time = 0, time.perf_counter()

    def place(self, model: nn.Module) -> nn.Module:
        """Move a network to the device, in evaluation mode."""
        model.to(self.accelerator.device)
        if self.settings.channels_last:
            model.to(memory_format=torch.channels_last)
        return model.eval()

    def prepare(self) -> None:
        """Find the feature maps to compare and their scales, and check the settings."""
        inputs, labels = self.loader.first()
        known = known_outputs(self.student, self.job.teacher)
        self.outputs = find_outputs(self.teacher, [(inputs, labels)], self.job.outputs, known)
        first = tree_map_only(Tensor, lambda t: t[:1], inputs)
        example = first if self.job.example is None else self.job.example
        example = tree_map_only(Tensor, lambda t: t.to(self.accelerator.device), example)
        self._layers = objectives.match_layers(self.teacher, self.student, example)
        layers = self._layers.values()
        self.state.position.scales = objectives.measure_scales(self.teacher, layers, inputs)
        scores = self.outputs.are_scores
        if self.settings.feature_weight is None:
            weight = 0.0 if scores or not self._layers else 1.0
            if weight and self.settings.compile:
                raise GhostifyError(
                    "`compile` requires outputs that are classes or labels, or `feature_weight` 0: "
                    "compiled networks do not expose feature maps"
                )
            self.settings = replace(self.settings, feature_weight=weight)
        for name in ("feature_weight", "layerwise_fraction"):
            if getattr(self.settings, name) and not self._layers:
                raise GhostifyError(
                    f"`{name}` (={getattr(self.settings, name):g}) must be 0: the student has no "
                    "Ghost module in place of a layer of the teacher"
                )
        if handler := self.accelerator.ddp_handler:  # not every phase uses all parameters
            handler.static_graph = scores and self.settings.freeze_bn
            handler.find_unused_parameters = not handler.static_graph

    def score_given(self, given: nn.Module) -> None:
        """Score the teacher and the student as given, which the epochs have to beat."""
        position = self.state.position
        position.original = self._score(self.teacher)
        position.converted = self._score(given)
        self.state.keep_if_best(given, position.converted)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint."""
        try:
            position = self.state.position = Position.from_dict(checkpoint.position)
            if position.phase:
                self._enter(position.phase)
            self.state.load(checkpoint.tensors)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise GhostifyError(f"the checkpoint is of another training: {error}") from error
        self.clock.seconds = position.seconds

    def run(self) -> Recovery:
        """Train to the end of the budget or of the patience; errors as in `recover`."""
        state, position = self.state, self.state.position
        events = tensorboard_writer(self.folder, position.step) if self.job.tensorboard else None
        position.ended = self._ended()
        with self.clock.catching_signals():
            while not position.ended:
                self._train_epoch()
                state.end_epoch(self._score(state.evaluated))
                write_history(self.folder, position.history, events)
                stage = {"stage": self.job.stage} if self.job.stages else {}
                self.job.on_epoch({**stage, **position.history[-1]})
                position.ended = self._ended()
                self._write()
                if self._tick() and not position.ended:
                    raise KeyboardInterrupt
        return state.outcome(self.settings)

    def _ended(self) -> str:
        patience, position = self.settings.patience, self.state.position
        if patience is not None and position.stale >= patience:
            return "patience"
        if position.epoch == self.settings.max_epochs or position.step == self.budget.steps:
            return "epochs"
        return "" if self._spent() < 1 else "minutes"

    def _spent(self, steps: float = 0) -> float:
        position = self.state.position
        return self.budget.spent(position.step + steps, position.seconds)

    def _train_epoch(self) -> None:
        state, position = self.state, self.state.position
        generators, state.generators = state.generators, None
        images, begin, shown = position.images, position.seconds, position.seconds
        self.clock.restart()
        for inputs, labels in self.loader.epoch(position.epoch, position.batch, generators):
            if self._spent() >= 1:
                break
            position.batch += 1
            if not self.settings.freeze_bn and images_in(inputs) == 1:
                continue  # the variance of a 1x1 feature map would be 0
            self._step(inputs, labels)
            # Processes have to agree, which costs a synchronization.
            shared = self.accelerator.num_processes > 1
            stop = not (shared and self._is_async()) and self._tick()
            if position.seconds - shown >= _SHOW_EVERY:
                shown = position.seconds
                self.job.report(self._progress(position.images - images, position.seconds - begin))
            minutes = (time.perf_counter() - self._written_time) / 60
            if stop or minutes > self.settings.checkpoint_minutes:
                self._write()
            if stop:
                raise KeyboardInterrupt
        self._tick()
        if not position.batch:
            raise GhostifyError("`data` is empty, or can be iterated only once")

    def _step(self, inputs: Any, labels: Tensor | None) -> None:
        phase, share = phase_at(self._spent(steps=0.5), self.settings)
        if phase != self.state.position.phase or self._objective is None:
            self._enter(phase)
        for optimizer in self.state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr_at(share, self.settings)
        losses = self._objective(inputs, labels)
        if not self._is_async() and not bool(losses["loss"].isfinite()):
            self._raise_not_finite(inputs)
        self.accelerator.backward(losses["loss"])
        if self.settings.max_grad_norm:
            self.accelerator.clip_grad_norm_(self._trainable, self.settings.max_grad_norm)
        for optimizer in self.state.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if self.state.ema is not None:
            self.state.ema.update_parameters(self.student)
        self.state.add_step(losses, images_in(inputs))

    def _enter(self, phase: str) -> None:
        """Set up the objective of a phase, its parameters and its optimizers."""
        networks, scales = (self.teacher, self.student), self.state.position.scales
        objective = objectives.OBJECTIVES[phase](
            *networks, self._layers, scales, self.settings, self.outputs
        )
        trained = objective.trained()
        for name, parameter in self.student.named_parameters():
            parameter.requires_grad_(name in trained)
        self._trainable = list(trained.values())
        optimizers = make_optimizers(self._trainable, self.settings)
        with warnings.catch_warnings():  # newer PyTorch renames an argument that Accelerate passes
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
            prepared = self.accelerator.prepare(objective, *optimizers)
        self._objective, *self.state.optimizers = prepared
        self.student.train(not self.settings.freeze_bn)
        if self.settings.compile and phase == objectives.EndToEnd.name:
            for network in networks:
                network.compile()
        self.state.position.phase = phase

    def _raise_not_finite(self, inputs: Any) -> None:
        message = f"the loss is not finite at step {self.state.position.step + 1}: "
        message += objectives.likely_cause(self.teacher, inputs, self.settings)
        if self._written_step:
            message += f"; {self.folder} holds a checkpoint of step {self._written_step}"
        raise GhostifyError(message)

    def _score(self, model: nn.Module) -> Score | None:
        """Score a network on the validation data; generator states stay as they are."""
        if self.validation is None:
            return None
        summed = partial(reduce_sum, self.accelerator)
        with preserve_rng(), eval_mode(model):
            batches = self.validation.epoch(0)
            return compute_score(model, batches, self.outputs, teacher=self.teacher, reduce=summed)

    def _is_async(self) -> bool:
        """Whether reading a value of this step from the device would slow it down."""
        return self.accelerator.device.type != "cpu" and self.state.position.step % _SYNC_EVERY > 0

    def _tick(self) -> bool:
        interrupted = self.clock.tick()
        self.state.position.seconds = self.clock.seconds
        return interrupted

    def _progress(self, images: int, seconds: float) -> TrainingProgress:
        position, sums, spent = self.state.position, self.state.sums, self._spent()
        steps, stage, stages = float(sums["steps"]), self.job.stage, self.job.stages or 1
        return TrainingProgress(
            phase=position.phase,
            stage=stage,
            stages=stages,
            epoch=position.epoch + 1,
            done=100 * (stage - 1 + spent) / stages,
            loss=float(sums["loss"]) / steps,
            score=float(sums["accuracy"]) / steps if "accuracy" in sums else None,
            speed=images * self.accelerator.num_processes / seconds,
            seconds_left=position.seconds * (1 - spent) / spent,
        )

    def _write(self) -> None:
        if self.folder is not None:
            write_checkpoint(self.folder, self.state.checkpoint())
            self._written_step = self.state.position.step
        self._written_time = time.perf_counter()
        self.clock.restart()
