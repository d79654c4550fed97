"""The training loop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.model_copy import copy_model, frozen_copy
from ghostify.analysis.preserve import preserve_rng
from ghostify.data import images_in
from ghostify.evaluation.output_kinds import find_outputs, known_outputs
from ghostify.training import objectives
from ghostify.training.checkpoint import (
    Checkpoint,
    tensorboard_writer,
    write_checkpoint,
    write_history,
)
from ghostify.training.clock import Budget, Clock, lr_at, phase_at
from ghostify.training.feature_maps import ComparedLayer, compared_layers, measure_scales
from ghostify.training.held_out import is_worse
from ghostify.training.job import Job
from ghostify.training.loader import ShardedLoader
from ghostify.training.optim import make_optimizers
from ghostify.training.origin import data_digest
from ghostify.training.probe import choose_lr
from ghostify.training.scorer import Scorer
from ghostify.training.state import TrainingState, weights_of
from ghostify.types import GhostifyError, Outputs, Recovery
from ghostify.types.errors import first_line
from ghostify.types.progress import Progress, TrainingProgress

if TYPE_CHECKING:
    from accelerate import Accelerator

_SYNC_EVERY = 20
"""Steps between two synchronizations with a device."""

_SHOW_EVERY = 0.2
"""Seconds between two progress reports."""

_PROBE_WARMUP = 0.5
"""Share of a probe with linear warm-up."""


class Trainer:
    """Trains a copy of a student. The main process writes checkpoints and history."""

    def __init__(self, accelerator: Accelerator, job: Job, student: nn.Module) -> None:
        self.accelerator, self.job, self.settings = accelerator, job, job.settings
        self.teacher = self.place(frozen_copy(job.teacher))
        self.student = self.place(copy_model(student))
        self.loader = ShardedLoader(job.data, accelerator, self.settings)
        shard = partial(ShardedLoader, accelerator=accelerator, settings=self.settings, even=False)
        held_out = job.held_out
        self.selecting = shard(held_out.selecting)
        self.reporting = None if held_out.reporting is None else shard(held_out.reporting)
        self.budget = Budget.of(self.settings, self.loader)
        self.folder = job.folder if accelerator.is_main_process else None
        self.state = TrainingState(self.student, self.settings, accelerator)
        self.clock = Clock(accelerator)
        self.origin = job.origin
        self.outputs = Outputs()
        self.scorer: Scorer  # made by `prepare`, which finds what it needs
        self._layers: tuple[ComparedLayer, ...] = ()
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
        kinds = tuple(output.kind for output in self.outputs.tensors)
        self.origin = replace(self.origin, outputs=kinds, data=self._data_digest())
        first = tree_map_only(Tensor, lambda t: t[:1], inputs)
        example = first if self.job.example is None else self.job.example
        example = tree_map_only(Tensor, lambda t: t.to(self.accelerator.device), example)
        self._layers = compared_layers(self.teacher, self.student, example)
        self.state.position.scales = measure_scales(self.teacher, self._layers, inputs)
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
                    f"`{name}` (={getattr(self.settings, name):g}) must be 0: no layer of the "
                    "teacher is converted in the student"
                )
        self.scorer = Scorer(
            self.accelerator,
            self.teacher,
            self.settings,
            self.outputs,
            self._layers,
            self.state.position.scales,
        )
        if handler := self.accelerator.ddp_handler:  # not every phase uses all parameters
            handler.static_graph = scores and self.settings.freeze_bn
            handler.find_unused_parameters = not handler.static_graph

    def score_given(self, given: nn.Module) -> None:
        """Score the teacher and the student as given, which the epochs have to beat."""
        position, loader = self.state.position, self.reporting or self.selecting
        score = self.scorer.score(given, self.selecting)
        self.state.begin(given, self.job.held_out.kind, score)
        position.original = self.scorer.score(self.teacher, loader)
        position.converted = score if self.reporting is None else self.scorer.score(given, loader)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of the same training.

        Data that differ each time they are read are not compared.
        """
        origin = checkpoint.origin
        if origin.data != self.origin.data != self._data_digest():
            self.origin = replace(self.origin, data=origin.data)
        if difference := self.origin.difference(origin):
            raise GhostifyError(
                f"{self.job.folder} holds a checkpoint of another training: {difference}. Resume "
                "with the arguments that it began with, or remove the folder"
            )
        position = self.state.position = checkpoint.position
        try:
            if position.phase:
                self._enter(position.phase)
            self.state.load(checkpoint.tensors)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise GhostifyError(
                f"{self.job.folder} holds a checkpoint of another version of ghostify or PyTorch: "
                f"{first_line(error)}"
            ) from error
        self.clock.seconds = position.seconds
        if position.lr:
            self.settings = replace(self.settings, lr=self.settings.lr or position.lr)
            position.lr = self.settings.lr or 0.0

    def run(self) -> Recovery:
        """Train to the end of the budget or of the patience; errors as in `recover`."""
        state, position = self.state, self.state.position
        events = tensorboard_writer(self.folder, position.step) if self.job.tensorboard else None
        position.ended = self._ended()
        with self.clock.catching_signals():
            if not position.lr:
                self._choose_lr()
            while not position.ended:
                self._train_epoch()
                collapsed = state.end_epoch(self.scorer.score(state.evaluated, self.selecting))
                write_history(self.folder, position.history, events)
                stage = {"stage": self.job.stage} if self.job.stages else {}
                self.job.on_epoch({**stage, **position.history[-1]})
                position.ended = self._ended()
                if position.ended:
                    self._report()
                elif collapsed:
                    self._go_back()
                self._write()
                if self._tick() and not position.ended:
                    raise KeyboardInterrupt
        return state.outcome(self.settings)

    def _data_digest(self) -> str:
        """Return the digest of the data; nothing is read where no checkpoint is written."""
        loaders = (self.loader, self.selecting, self.reporting)
        found = [loader for loader in loaders if loader is not None]
        return data_digest(found) if self.job.folder else ""

    def _ended(self) -> str:
        """Return why the training is over; a resumed epoch is always finished and scored."""
        patience, position = self.settings.patience, self.state.position
        if position.batch:
            return ""
        if patience is not None and position.stale >= patience:
            return "patience"
        if position.epoch == self.settings.max_epochs or position.step == self.budget.steps:
            return "epochs"
        return "" if self._spent() < 1 else "minutes"

    def _report(self) -> None:
        """Score the best weights on the reporting images; keep those as given if they are worse."""
        state, position, selection = self.state, self.state.position, self.state.position.selection
        assert selection is not None
        assert position.converted is not None
        if self.reporting is None:
            position.recovered = selection.best
            return
        position.selection = selection = replace(selection, others=position.converted.images)
        position.recovered = position.converted
        if position.best_epoch:
            best = copy_model(self.student)
            best.load_state_dict(state.best or {})
            score = self.scorer.score(best, self.reporting)
            is_last = self.job.stage == (self.job.stages or 1)  # earlier ones are not handed over
            if is_last and is_worse(score, position.converted):
                position.selection = replace(selection, rejected=position.best_epoch)
                position.best_epoch = 0
            else:
                position.recovered = score

    def _go_back(self) -> None:
        """Go on from the best weights, with a lower learning rate and new optimizers."""
        assert self.state.best is not None
        self.state.restart(self.state.best)
        self.state.position.collapses += 1
        self.accelerator.free_memory()
        self._set_up(self.state.position.phase)

    def _spent(self, steps: float = 0) -> float:
        position = self.state.position
        return self.budget.spent(position.step + steps, position.seconds, position.probe_seconds)

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
        position = self.state.position
        phase, share = phase_at(self._spent(steps=0.5), self.settings)
        if phase != position.phase or self._objective is None:
            self._enter(phase)
        losses = self._update(
            inputs, labels, lr_at(share, position.current_lr, self.settings.warmup)
        )
        if not self._is_async() and not bool(losses["loss"].isfinite()):
            self._raise_not_finite(inputs)
        self.state.add_step(losses, images_in(inputs))

    def _update(self, inputs: Any, labels: Tensor | None, lr: float) -> dict[str, Tensor]:
        """Take one optimizer step; return the losses before it."""
        losses: dict[str, Tensor] = self._objective(inputs, labels)
        for optimizer in self.state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = lr
        self.accelerator.backward(losses["loss"])
        if self.settings.max_grad_norm:
            self.accelerator.clip_grad_norm_(self._trainable, self.settings.max_grad_norm)
        for optimizer in self.state.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if self.state.ema is not None:
            self.state.ema.update_parameters(self.student)
        return losses

    def _enter(self, phase: str) -> None:
        """Begin a phase, with new optimizers."""
        self._set_up(phase)
        if self.settings.compile and phase == objectives.EndToEnd.name:
            for network in (self.teacher, self.student):
                network.compile()
        self.state.position.phase = phase

    def _set_up(self, phase: str) -> None:
        """Make the objective of a phase and its optimizers; choose the parameters to train."""
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

    def _raise_not_finite(self, inputs: Any) -> None:
        message = f"the loss is not finite at step {self.state.position.step + 1}: "
        message += objectives.likely_cause(self.teacher, inputs, self.settings)
        if self._written_step:
            message += f"; {self.folder} holds a checkpoint of step {self._written_step}"
        raise GhostifyError(message)

    def _choose_lr(self) -> None:
        """Take the learning rate that is given, or probe a few; the state stays as it is."""
        state, position, scaler = self.state, self.state.position, self.accelerator.scaler
        if self.settings.lr is None:
            start, scaling = weights_of(self.student), scaler and scaler.state_dict()
            self.clock.restart()
            with preserve_rng():
                attempt = partial(self._try_lr, start)
                lr, position.probe = choose_lr(self.settings.optimizer, self.budget, attempt)
            state.restart(start)
            if scaling:
                scaler.load_state_dict(scaling)
            self._objective, state.optimizers = None, []
            self.clock.tick()
            position.probe_seconds, self.clock.seconds = self.clock.seconds, 0.0
            self.settings = replace(self.settings, lr=lr)
        position.lr = self.settings.lr or 0.0

    def _try_lr(
        self, start: Mapping[str, Tensor], lr: float, steps: int, seconds: float
    ) -> tuple[float, int]:
        """Train from the start; return the held-out loss and how many steps it were."""
        self.state.restart(start)
        self.accelerator.free_memory()  # it keeps the optimizers of the rate before
        done, begin = 0, self.clock.seconds
        if steps:
            is_layerwise = self.settings.layerwise_fraction == 1
            self._set_up(objectives.Layerwise.name if is_layerwise else objectives.EndToEnd.name)
        for inputs, labels in islice(self.loader.epoch(0), steps):
            share = (done + 0.5) / steps
            losses = self._update(inputs, labels, lr * min(share / _PROBE_WARMUP, 1))
            done += 1
            if self.clock.tick():
                raise KeyboardInterrupt
            loss = float(losses["loss"].detach())
            detail = f"probing lr {lr:g}: step {done} of {steps}, loss {loss:.3g}"
            self.job.report(Progress("recovering", self._done(0), 100, detail))
            if self.clock.seconds - begin > seconds:
                break
        return self.scorer.loss(self.state.evaluated, self.selecting), done

    def _is_async(self) -> bool:
        """Whether reading a value of this step from the device would slow it down."""
        return self.accelerator.device.type != "cpu" and self.state.position.step % _SYNC_EVERY > 0

    def _tick(self) -> bool:
        interrupted = self.clock.tick()
        self.state.position.seconds = self.clock.seconds
        return interrupted

    def _done(self, spent: float) -> float:
        """Return the percentage of all stages that is done."""
        return 100 * (self.job.stage - 1 + spent) / (self.job.stages or 1)

    def _progress(self, images: int, seconds: float) -> TrainingProgress:
        position, sums, spent = self.state.position, self.state.sums, self._spent()
        steps, stage, stages = float(sums["steps"]), self.job.stage, self.job.stages or 1
        return TrainingProgress(
            phase=position.phase,
            stage=stage,
            stages=stages,
            epoch=position.epoch + 1,
            done=self._done(spent),
            loss=float(sums["loss"]) / steps,
            score=float(sums["accuracy"]) / steps if "accuracy" in sums else None,
            speed=images * self.accelerator.num_processes / seconds,
            seconds_left=position.seconds * (1 - spent) / spent,
        )

    def _write(self) -> None:
        if self.folder is not None:
            write_checkpoint(self.folder, self.state.checkpoint(self.origin))
            self._written_step = self.state.position.step
        self._written_time = time.perf_counter()
        self.clock.restart()
