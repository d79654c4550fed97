"""The loop: one student, its teacher, and everything that changes from step to step."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._pytree import tree_map_only

from ghostify.analysis.preserve import eval_mode
from ghostify.data import images_in
from ghostify.data.rng import generator_states, set_generator_states
from ghostify.evaluation.evaluate import compute_score
from ghostify.training.accelerator import expect_unused
from ghostify.training.checkpoint import Checkpoint, History, write_checkpoint
from ghostify.training.feed import Batch, ShardedLoader
from ghostify.training.interruption import interruptions
from ghostify.training.objectives import STAGES, EndToEnd, matched_places, measure_scales
from ghostify.training.optim import Budget, make_optimizers, rate_at, set_rate, stage_at
from ghostify.training.scoring import likely_cause
from ghostify.types import Example, GhostifyError, Recovery, RecoverySettings, Score

if TYPE_CHECKING:
    from accelerate import Accelerator

_LOOK_EVERY = 20
"""Steps between two looks at the loss, on devices that would have to be waited for."""

_SHOW_EVERY = 0.2
"""Seconds between two moments that are shown."""


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training is, for whoever watches.

    Attributes:
        stage: its name.
        epoch: from 1.
        spent: the share of the budget.
        loss: its mean since the epoch began.
        score: share of images, since then, whose most likely class was right; without labels, was
            the teacher's. None for outputs that are no logits.
        speed: images a second, over all processes.
        seconds_left: of training.
    """

    stage: str
    epoch: int
    spent: float
    loss: float
    score: float | None
    speed: float
    seconds_left: float


Watch = Callable[[TrainingProgress], None]
Tell = Callable[[Mapping[str, Any]], None]


@dataclass
class Position:
    """How far a training is, in JSON types.

    Attributes:
        batch: of the epoch, the next one.
        images: that one process has seen.
        stage: whose optimizers there are.
        stale: epochs since the best one.
        sums: of what the steps of this epoch gave, and their number.
        ended: by what, when it has; see `Recovery`.
        scales: what errors are divided by.
        original, converted, recovered: scores of the teacher, of the student before, and of the
            best weights.
        records: of the epochs.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    images: int = 0
    seconds: float = 0.0
    stage: str = ""
    stale: int = 0
    ended: str = ""
    sums: dict[str, float] = field(default_factory=dict)
    scales: dict[str, list[float]] = field(default_factory=dict)
    original: dict[str, Any] | None = None
    converted: dict[str, Any] | None = None
    recovered: dict[str, Any] | None = None
    records: list[dict[str, Any]] = field(default_factory=list)


class Training:
    """A student on its way.

    Args:
        accelerator: of the devices and processes.
        teacher, student: on its device, in evaluation mode.
        feed: what is learnt from.
        validation: what is scored on, or None.
        budget: how long.
        settings: how.
        folder: for checkpoints and the history, or None for neither.
        tensorboard: whether the history is for TensorBoard too.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        teacher: nn.Module,
        student: nn.Module,
        feed: ShardedLoader,
        validation: ShardedLoader | None,
        budget: Budget,
        settings: RecoverySettings,
        folder: Path | None,
        *,
        tensorboard: bool = False,
    ) -> None:
        self.accelerator, self.settings, self.budget = accelerator, settings, budget
        self.teacher, self.student = teacher, student
        self.feed, self.validation = feed, validation
        self.folder = folder if accelerator.is_main_process else None
        self.position = Position()
        self.tensorboard = tensorboard
        self.places: dict[str, str] = {}
        self.best: dict[str, Tensor] | None = None
        self.mean: AveragedModel | None = None
        if settings.ema_decay:
            average = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
            self.mean = AveragedModel(student, multi_avg_fn=average, use_buffers=True)
        self.optimizers: list[Optimizer] = []
        self._stage: Any = None
        self._trainable: list[nn.Parameter] = []
        self._sums: dict[str, Tensor] = {}
        self._states: dict[str, Any] | None = None
        self._written = 0
        self._clock = self._saved = time.perf_counter()

    @property
    def kept(self) -> nn.Module:
        """The network that is scored and kept: the running mean, if there is one."""
        return self.student if self.mean is None else self.mean.module

    def score(self, model: nn.Module) -> dict[str, Any] | None:
        """That of a network on the validation data, in JSON types; None without any."""
        if self.validation is None:
            return None
        states = generator_states()
        with eval_mode(model):
            found = compute_score(
                model, self.validation.epoch(0), teacher=self.teacher, reduce=self._summed
            )
        set_generator_states(states)
        return asdict(found)

    def begin(self, example: Example | None) -> None:
        """See where maps are compared and how large they are, and score both networks."""
        inputs, _ = self.feed.first()
        if example is None:
            example = tree_map_only(Tensor, lambda tensor: tensor[:1], inputs)
        example = tree_map_only(Tensor, lambda t: t.to(self.accelerator.device), example)
        self.places = matched_places(self.teacher, self.student, example)
        self.position.scales, logits = measure_scales(self.teacher, self.places, inputs)
        if self.settings.feature_weight is None:
            if self.settings.compile and not logits:
                raise GhostifyError(
                    "outputs that are no logits are learnt with the maps, at which compiled "
                    "networks cannot be looked into: leave compile out, or give feature_weight=0"
                )
            self.settings = replace(
                self.settings, feature_weight=0.0 if logits or not self.places else 1.0
            )
        if not self.places and (self.settings.feature_weight or self.settings.layerwise_fraction):
            raise GhostifyError(
                "no Ghost module stands where the teacher has a layer, so there are no maps to "
                "compare: leave feature_weight and layerwise_fraction at 0"
            )
        expect_unused(
            self.accelerator,
            always_the_same=logits and self.settings.freeze_bn,
        )
        self.position.original = self.score(self.teacher)
        self.position.converted = self.position.recovered = self.score(self.student)

    def run(self, watch: Watch, tell: Tell) -> Recovery:
        """Train to the end of the budget or of the patience.

        Raises:
            GhostifyError: if the loss is no longer finite.
            KeyboardInterrupt: if the user has asked to end; where there is a folder, this moment
                is in it.
            OSError: if a checkpoint cannot be written; the one before stays.
        """
        history = History(self.folder, self.position.records, tensorboard=self.tensorboard)
        position = self.position
        position.ended = self._ended()
        with interruptions() as asked:
            while not position.ended:
                self._train_epoch(watch, asked)
                record = self._end_epoch()
                history.add(record)
                tell(record)
                position.ended = self._ended()
                self.write()
                if self._tick(asked) and not position.ended:
                    raise KeyboardInterrupt
        return self._outcome()

    def _outcome(self) -> Recovery:
        position = self.position
        return Recovery(
            settings=self.settings,
            steps=position.step,
            images=position.images * self.accelerator.num_processes,
            seconds=position.seconds,
            ended=position.ended,
            original=_score_of(position.original),
            converted=_score_of(position.converted),
            recovered=_score_of(position.recovered),
            history=tuple(position.records),
        )

    def _ended(self) -> str:
        patience, position = self.settings.patience, self.position
        if patience is not None and position.stale >= patience:
            return "patience"
        if position.epoch == self.settings.max_epochs or position.step == self.budget.steps:
            return "epochs"
        return "" if self._spent() < 1 else "minutes"

    def _train_epoch(self, watch: Watch, asked: Callable[[], bool]) -> None:
        position, drawn = self.position, self.position.batch
        states, self._states = self._states, None
        self._clock, shown, images = time.perf_counter(), 0.0, position.images
        began = position.seconds
        for inputs, labels in self.feed.epoch(position.epoch, drawn, states):
            if self._spent() >= 1:
                break
            position.batch += 1
            if not self.settings.freeze_bn and images_in(inputs) == 1:
                continue  # the variance of one image's maps may be nought
            self._step(inputs, labels)
            asked_to_end = self._tick(asked, waiting=self._waiting())
            if position.seconds - shown >= _SHOW_EVERY:
                shown = position.seconds
                watch(self._moment(position.images - images, position.seconds - began))
            since = time.perf_counter() - self._saved
            if asked_to_end or since > 60 * self.settings.checkpoint_minutes:
                self.write()
            if asked_to_end:
                raise KeyboardInterrupt
        self._tick(asked)
        if not position.batch:
            raise GhostifyError("the data is empty, or can be gone through only once")

    def _step(self, inputs: Any, labels: Tensor | None) -> None:
        position = self.position
        spent = self.budget.spent(position.step + 0.5, position.seconds)
        name, share = stage_at(spent, self.settings)
        if name != position.stage or self._stage is None:
            self._enter(name)
        set_rate(self.optimizers, rate_at(share, self.settings))
        losses = self._stage(inputs, labels)
        self._look_at(losses["loss"], (inputs, labels))
        self.accelerator.backward(losses["loss"])
        if self.settings.max_grad_norm:
            self.accelerator.clip_grad_norm_(self._trainable, self.settings.max_grad_norm)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if self.mean is not None:
            self.mean.update_parameters(self.student)
        for part, value in {**losses, "steps": torch.ones(())}.items():
            value = value.detach().float()
            self._sums[part] = self._sums[part] + value if part in self._sums else value
        position.step += 1
        position.images += images_in(inputs)

    def _enter(self, name: str) -> None:
        """Begin with a stage: what it trains, and with which optimizers."""
        stage = STAGES[name](
            self.teacher, self.student, self.places, self.position.scales, self.settings
        )
        wanted = stage.trained()
        for own, parameter in self.student.named_parameters():
            parameter.requires_grad_(own in wanted)
        self._trainable = list(wanted.values())
        optimizers = make_optimizers(wanted, self.settings)
        with warnings.catch_warnings():  # newer PyTorch has another word for an option
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
            self._stage, *self.optimizers = self.accelerator.prepare(stage, *optimizers)
        self.student.train(not self.settings.freeze_bn)
        if self.settings.compile and name == EndToEnd.name:
            for network in (self.teacher, self.student):
                network.compile()
        self.position.stage = name

    def _look_at(self, loss: Tensor, batch: Batch) -> None:
        if not self._waiting() and not bool(loss.isfinite()):
            cause = likely_cause(self.teacher, batch, self.settings)
            kept = f"; what there was at step {self._written} is in {self.folder}"
            raise GhostifyError(
                f"the loss is not finite at step {self.position.step + 1}: {cause}"
                + (kept if self._written else "")
            )

    def _end_epoch(self) -> dict[str, Any]:
        """Score the student, and begin with the next epoch."""
        position = self.position
        means = self._means()
        found = self.score(self.kept)
        if _is_better(found, position.recovered):
            position.recovered, position.stale = found, 0
            self.best = {name: t.detach().clone() for name, t in self.kept.state_dict().items()}
        else:
            position.stale += 1
        record = {
            "epoch": position.epoch + 1,
            "stage": position.stage,
            "step": position.step,
            "seconds": round(position.seconds, 3),
            **means,
            "score": found,
        }
        position.records.append(record)
        position.epoch, position.batch, self._sums = position.epoch + 1, 0, {}
        return record

    def _means(self) -> dict[str, float]:
        """What the steps of this epoch gave, over all processes."""
        totals = torch.stack([total.cpu().double() for total in self._sums.values()])
        summed = dict(zip(self._sums, self._summed(totals).tolist(), strict=True))
        steps = summed.pop("steps")
        return {part: total / steps for part, total in summed.items()}

    def _summed(self, totals: Tensor) -> Tensor:
        if self.accelerator.num_processes == 1:
            return totals
        return self.accelerator.reduce(totals.to(self.accelerator.device), "sum").cpu()  # type: ignore[no-any-return]

    def _spent(self) -> float:
        """The share of the budget that is spent; the same in all processes."""
        return self.budget.spent(self.position.step, self.position.seconds)

    def _waiting(self) -> bool:
        """Whether a look at what a device has computed would hold it up too often."""
        return self.accelerator.device.type != "cpu" and self.position.step % _LOOK_EVERY > 0

    def _tick(self, asked: Callable[[], bool], *, waiting: bool = False) -> bool:
        """Bring the clock forward, and hear whether any process was asked to end.

        All processes go by the clock of the main one; several wait for a later look.
        """
        alone = self.accelerator.num_processes == 1
        if waiting and not alone:
            return False
        now = time.perf_counter()
        passed, heard = now - self._clock, asked()
        self._clock = now
        if not alone:
            own = [passed * self.accelerator.is_main_process, float(heard)]
            passed, heard = self._summed(torch.tensor(own, dtype=torch.float64)).tolist()
        self.position.seconds += passed
        return bool(heard)

    def _moment(self, images: int, seconds: float) -> TrainingProgress:
        steps = float(self._sums["steps"])
        spent = self._spent()
        score = self._sums.get("top1")
        return TrainingProgress(
            stage=self.position.stage,
            epoch=self.position.epoch + 1,
            spent=spent,
            loss=float(self._sums["loss"]) / steps,
            score=None if score is None else float(score) / steps,
            speed=images * self.accelerator.num_processes / seconds,
            seconds_left=self.position.seconds * (1 - spent) / spent,
        )

    def write(self) -> None:
        """A checkpoint of this moment, by the main process."""
        if self.folder is not None:
            self.position.sums = {part: float(total) for part, total in self._sums.items()}
            tensors = {
                "student": self.student.state_dict(),
                "mean": None if self.mean is None else self.mean.state_dict(),
                "best": self.best,
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "scaler": self.accelerator.scaler and self.accelerator.scaler.state_dict(),
                "generators": generator_states(),
            }
            write_checkpoint(self.folder, Checkpoint(asdict(self.position), tensors))
            self._written = self.position.step
        self._clock = self._saved = time.perf_counter()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            GhostifyError: if it is of another training.
        """
        tensors = checkpoint.tensors
        try:
            self.position = Position(**checkpoint.position)
            self.student.load_state_dict(tensors["student"])
            if self.mean is not None:
                self.mean.load_state_dict(tensors["mean"])
            if self.position.stage:
                self._enter(self.position.stage)
                for optimizer, state in zip(self.optimizers, tensors["optimizers"], strict=True):
                    optimizer.load_state_dict(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise GhostifyError(
                f"the checkpoint in {self.folder} is of another training: {error}"
            ) from error
        if self.accelerator.scaler and tensors["scaler"]:
            self.accelerator.scaler.load_state_dict(tensors["scaler"])
        self.best = tensors["best"]
        self._sums = {part: torch.tensor(total) for part, total in self.position.sums.items()}
        self._states = tensors["generators"] if self.position.batch else None


def _is_better(found: dict[str, Any] | None, best: dict[str, Any] | None) -> bool:
    """Whether to keep it; without validation images the last one is."""
    return not (found and best) or Score(**found).selection_score > Score(**best).selection_score


def _score_of(entries: dict[str, Any] | None) -> Score | None:
    return None if entries is None else Score(**entries)
