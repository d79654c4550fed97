"""A converted network on disk, with everything that was measured of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import asdict, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar, overload

from torch import Tensor, nn

from ghostify import models
from ghostify.analysis.arguments import check_model
from ghostify.artifact.folder import beside, in_type_of, read_folder, write_folder
from ghostify.artifact.original import MissingWeightsError, Original
from ghostify.conversion.search import search
from ghostify.conversion.sensitivity import sensitivity as measure_sensitivity
from ghostify.data import Data, open_calibration, opened, opened_for_evaluation, split_labels
from ghostify.deployment import Exported, export
from ghostify.deployment.benchmark import benchmark
from ghostify.evaluation.output_kinds import find_outputs, known_outputs
from ghostify.evaluation.recalibrate import recalibrate
from ghostify.io.atomic import TRAINING, check_target
from ghostify.io.measurements import carry_over, read_measurements, record, recorded
from ghostify.io.progress import is_main_process
from ghostify.io.recipe import read_recipe
from ghostify.models.identity import file_digest
from ghostify.report.compare import compare
from ghostify.report.evaluate_models import evaluate_models, evaluation_on, evaluation_row
from ghostify.report.evaluation import Evaluation
from ghostify.report.html import write_report
from ghostify.report.html.feature_maps import feature_map_images
from ghostify.report.report import Report
from ghostify.report.timing import Timing
from ghostify.training.checkpoint import remove_checkpoints, remove_training
from ghostify.training.claim import claimed
from ghostify.training.recover import recover
from ghostify.types import (
    Example,
    GhostifyError,
    Lineage,
    ModelSource,
    OriginalWeights,
    Outputs,
    Plan,
    PlanCandidate,
    Recovery,
    RecoverySettings,
    Sensitivity,
)
from ghostify.types.errors import GhostifyWarning
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)


class Artifact(os.PathLike[str]):
    """A folder with a converted network. What is measured through it is remembered in the folder.

    `write_report` shows all that was remembered, whether Python or the command line measured it.

    Args:
        path: a folder that `save` or ``ghostify convert`` made.
        original: the unconverted network. Default: built by its name, if it is a network of an
            installed library. No code of the artifact is run. A randomly initialized one gets the
            weights that the recipe names, in a copy, where they are needed.
        weights: a file with the original's weights. Default: where the recipe says they are.
        example: an input. Default: zeros of the input size in the recipe.

    Raises:
        GhostifyError: if the folder is not an artifact, or is damaged.
        OSError: if it cannot be read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        original: nn.Module | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        example: Example | None = None,
    ) -> None:
        self.path = Path(path)
        if original is not None:
            check_model(original, "original")
        recipe = read_recipe(self.path)
        self.source = recipe.source
        self._original = Original(self.path, recipe, original, weights)
        self._example = example

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Artifact({str(self.path)!r})"

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.path.resolve().name

    @property
    def original(self) -> nn.Module:
        """The unconverted network; its weights may be others than those that were converted."""
        return self._original.network

    @property
    def teacher(self) -> nn.Module:
        """The unconverted network with the weights that were converted.

        Raises:
            GhostifyError: if these cannot be found, were never trained, or others were given.
        """
        return self._original.trained

    def _teacher_if_found(self) -> nn.Module | None:
        """Return `teacher`; None, with a warning, if its weights cannot be found."""
        try:
            return self.teacher
        except MissingWeightsError as error:
            warnings.warn(f"without the original: {error}", GhostifyWarning, stacklevel=3)
            return None

    @cached_property
    def model(self) -> nn.Module:
        """The converted network with the saved weights, in the original's type of numbers."""
        return in_type_of(self.original, read_folder(self.path, self.original), self.path)

    @cached_property
    def example(self) -> Example:
        """An input of both networks."""
        if self._example is not None:
            return self._example
        if self.source is None or self.source.input_size is None:
            raise GhostifyError(f"{self.path} does not say its input size: pass `example`")
        return models.example(self.source)

    @property
    def stage(self) -> str:
        """What the weights are: ``converted``, ``recovered`` after training, ``recovered 2``."""
        return read_recipe(self.path).lineage[-1]

    def _opened(self, data: Any) -> Any:
        """Open the name of a source with the recorded preprocessing."""
        return opened(data, self.original, self.example, self.source)

    def _calibration(self, data: Any, *, evaluation: bool = False) -> Any:
        """Read the images of a source with the recorded preprocessing."""
        if not isinstance(data, str | Path):
            return data
        return open_calibration(
            data, self.original, self.source, evaluation=evaluation, progress=False
        ).batches

    def remember(self, kind: str, data: Mapping[str, Any], *, part: str = "") -> None:
        """Remember a measurement, in place of an earlier one of this kind and part.

        A folder that cannot be written is a warning, so that no measurement is lost by it.
        """
        try:
            record(self.path, kind, data, part=part)
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            message = f"{self.path} does not remember the {kind}: {reason}"
            warnings.warn(message, GhostifyWarning, stacklevel=3)

    def recorded(self, kind: str) -> list[dict[str, Any]]:
        """Return the measurements of a kind that hold for the artifact as it is now."""
        return recorded(self.path, kind)

    def _save_as(self, model: nn.Module, out: Path) -> Artifact:
        """Save this network with other weights, and the measurements that hold for them."""
        options = read_recipe(self.path).options
        write_folder(model, out, source=self.source, options=options, force=True)
        carry_over(self.path, out)
        saved = copy(self)
        saved.path, saved.model = out, model
        for data in self.recorded("evaluation"):
            saved.remember("evaluation", data, part=data["data"])
        return saved

    def compare(self, *, data: Any = None, outputs: OutputsLike = None) -> Report:
        """Report what the conversion saved, and how far both networks agree; see `compare`."""
        report = compare(
            self.original if data is None else self.teacher,
            self.model,
            self.example,
            name=self.source.name if self.source else None,
            data=self._calibration(data, evaluation=True),
            outputs=outputs,
        )
        self.remember("costs", report.costs())
        return report

    def outputs(self, data: Any, outputs: OutputsLike = None) -> Outputs:
        """Return what the outputs of the network mean.

        Args:
            data: as in `ghostify.evaluate` or `ghostify.recover`; labels are evidence.
            outputs: a kind, as in `ghostify.convert`. Default: what labels say, what an earlier
                step found, or what the outputs themselves say.
        """
        try:
            judge = self.teacher
        except GhostifyError:
            judge = self.model
        data = self._opened(data)
        batches = data.calibration() if isinstance(data, Data) else data
        return find_outputs(judge, map(split_labels, batches), outputs, known_outputs(self.model))

    def evaluate(
        self,
        data: Any,
        *,
        outputs: OutputsLike = None,
        device: str | None = None,
        progress: ShowProgress = True,
    ) -> Evaluation:
        """Score the network and its original; see `evaluate_models`.

        Without the original's weights, the network is scored alone, with a warning.

        Returns:
            The scores, with those remembered of other networks on the same images.

        Raises:
            GhostifyError: if the given original has other weights than the converted one, and as
                `evaluate_models` does.
        """
        data = opened_for_evaluation(data, [self.original, self.model], self.example, self.source)
        teacher = self._teacher_if_found()
        networks = {"original": teacher} if teacher else {}
        evaluation = evaluate_models(
            {**networks, self.stage: self.model},
            data,
            example=self.example,
            teacher=teacher,
            outputs=outputs,
            device=device,
            progress=progress,
        )
        return self.add_evaluation(evaluation)

    def add_evaluation(self, evaluation: Evaluation) -> Evaluation:
        """Remember an evaluation, and return it with earlier ones on the same images."""
        for earlier in read_measurements(self.path, "evaluation", Evaluation):
            evaluation = evaluation.including(earlier)
        self.remember("evaluation", evaluation.to_dict(), part=evaluation.data)
        return evaluation

    def recalibrate(
        self,
        data: Any,
        *,
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
        batches: int | None = None,
        keep_worse: bool = False,
        outputs: OutputsLike = None,
        device: str | None = None,
        progress: ShowProgress = True,
    ) -> tuple[Artifact, Evaluation]:
        """Estimate BatchNorm statistics again; save them as a new artifact if they score no worse.

        Args:
            data: as in `recalibrate`; both networks are scored on its validation part.
            out: the folder to make. Default: ``DIR-recalibrated``, beside this one.
            force: replace an existing artifact.
            batches: how many batches to use. Default: all.
            keep_worse: save them even if the score is worse.
            outputs: what the outputs are, as in `evaluate_models`.
            device: where to compute. Default: a GPU if there is one.
            progress: as in `recalibrate`.

        Returns:
            The new artifact, or this one if the score is worse; and the scores of both networks.
        """
        target = self._target(out, "recalibrated", force=force)
        data = self._opened(data)
        found = recalibrate(self.model, data, batches=batches, progress=progress)
        name = Lineage.of(found).name
        evaluation = evaluate_models(
            {self.stage: self.model, name: found},
            data,
            example=self.example,
            teacher=self._teacher_if_found(),
            outputs=outputs,
            device=device,
            progress=progress,
        )
        before, after = (evaluation.rows[network] for network in (self.stage, name))
        if before.score.better_than(after.score) and not keep_worse:
            return self, evaluation
        saved = self._save_as(found, target)
        saved.add_evaluation(evaluation)
        return saved, evaluation

    def recover(
        self,
        data: Any,
        settings: RecoverySettings | None = None,
        *,
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
        stages: int | None = None,
        teacher_weights: str | os.PathLike[str] | None = None,
        tensorboard: bool = False,
        **options: Any,
    ) -> tuple[Artifact, Recovery, Evaluation | None]:
        """Train the network with its original as teacher, and save it as a new artifact if better.

        Checkpoints and the history are in the folder ``recovery`` of the new artifact. If no epoch
        is better, nothing stays there but the events of TensorBoard.

        Args:
            data, settings, stages, tensorboard, options: as in `ghostify.recover`.
            out: the folder to make. Default: ``DIR-recovered``, beside this one.
            force: replace an existing artifact; and as in `ghostify.recover`.
            teacher_weights: with ``force``, a file with other weights for the teacher than those
                that were converted.

        Returns:
            The new artifact, or this one if no epoch was better; the record of the training; and
            the scores of all networks if there is validation data.

        Raises:
            GhostifyError: if the original's weights cannot be found, were never trained or are not
                those that were converted, and as `ghostify.recover` does.
        """
        target = self._target(out, "recovered", force=force)
        with claimed(target):
            data = self._opened(data)
            if teacher_weights is None:
                teacher = self.teacher
            else:
                teacher = self._original.with_weights(teacher_weights)
            model, recovery = recover(
                teacher,
                self.model,
                data,
                settings,
                stages=stages,
                example=self.example,
                sensitivity=self._sensitivity() if stages else None,
                folder=target / TRAINING,
                force=force,
                tensorboard=tensorboard,
                **options,
            )
            if not is_main_process():
                return self, recovery, None
            reference = "original" if teacher_weights is None else "teacher"
            networks = {
                reference: (teacher, recovery.original),
                self.stage: (self.model, recovery.converted),
            }
            saved = self
            if recovery.best_epoch:
                saved = self._save_as(model, target)
                networks[saved.stage] = model, recovery.recovered
            remove_checkpoints(target / TRAINING)
            if saved is self and not tensorboard:
                remove_training(target)
            rows = {
                name: evaluation_row(network, score, self.example)
                for name, (network, score) in networks.items()
                if score is not None
            }
            if not rows:
                return saved, recovery, None
            evaluation = evaluation_on(data, rows, Outputs.find(model))
            if teacher_weights is not None:  # agreement with another teacher is not the original's
                return saved, recovery, evaluation
            return saved, recovery, saved.add_evaluation(evaluation)

    def _target(self, out: str | os.PathLike[str] | None, step: str, *, force: bool) -> Path:
        """Return the folder for a new artifact, checked before any work begins."""
        target = beside(self.path, step) if out is None else Path(out)
        if target.resolve() == self.path.resolve():
            raise GhostifyError(f"`out` (={target}) is the artifact itself: name another folder")
        if is_main_process():
            check_target(target, force=force)
        return target

    def _sensitivity(self) -> Sensitivity | None:
        """The remembered sensitivity, if it covers all that the plan changes."""
        decisions = Plan.of(self.model).decisions
        for found in read_measurements(self.path, "sensitivity", Sensitivity):
            if all(found.covers(d.site.name, d.ghost, d.width) for d in decisions):
                return found
        return None

    def sensitivity(
        self,
        *,
        calibration: Any = None,
        outputs: OutputsLike = None,
        progress: ShowProgress = True,
    ) -> Sensitivity:
        """Measure the sensitivity of each layer of the original; see `ghostify.sensitivity`."""
        found = measure_sensitivity(
            self._original.converted,
            self.example,
            calibration=self._calibration(calibration),
            outputs=outputs or read_recipe(self.path).outputs,
            progress=progress,
        )
        self.remember("sensitivity", found.to_dict())
        return found

    def search(
        self,
        *,
        calibration: Any,
        outputs: OutputsLike = None,
        on_candidate: Callable[[PlanCandidate], None] | None = None,
        **options: Any,
    ) -> Plan:
        """Find the best plan of the original within a budget; see `ghostify.search`."""

        def remember(candidate: PlanCandidate) -> None:
            self.remember("plan-candidate", candidate.to_dict(), part=candidate.plan)
            if on_candidate is not None:
                on_candidate(candidate)

        return search(
            self._original.converted,
            self.example,
            calibration=self._calibration(calibration),
            outputs=outputs or read_recipe(self.path).outputs,
            on_candidate=remember,
            **options,
        )

    def benchmark(
        self, *, against: Mapping[str, nn.Module] | None = None, **options: Any
    ) -> Timing:
        """Time the network and its original, interleaved; see `ghostify.benchmark`.

        Args:
            against: Other networks by name to compare with. Such a timing is not remembered.
            **options: As in `ghostify.benchmark`.
        """
        others = against or {self.source.name if self.source else "original": self.original}
        if self.name in others:
            raise GhostifyError(f"{self.name} stands on both sides: there is nothing to compare")
        timing = benchmark({**others, self.name: self.model}, self.example, **options)
        if against is None:
            runs = groupby(timing.measurements, lambda m: (m.runtime, m.batch, m.threads))
            for (runtime, batch, threads), found in runs:
                part = replace(timing, measurements=tuple(found))
                self.remember("timing", part.to_dict(), part=f"{runtime}-b{batch}-t{threads}")
        return timing

    def export(
        self, file: str | os.PathLike[str], *, calibration: Any = None, **options: Any
    ) -> Exported:
        """Write the network for a runtime, and verify it; see `ghostify.export`.

        Args:
            file: the file to write.
            calibration: with ``int8``, as in `ghostify.export`.
            **options: as in `ghostify.export`.
        """
        calibration = self._calibration(calibration)
        exported = export(self.model, self.example, file, calibration=calibration, **options)
        part = f"{exported.to}-int8" if exported.score else exported.to
        self.remember("export", asdict(exported) | {"path": Path(file).name}, part=part)
        return exported

    def record_feature_maps(self, image: Tensor) -> None:
        """Remember what some layers make of an image ``(1, C, H, W)``, for the report."""
        self.remember(
            "feature-maps", feature_map_images(self.model, image, self._teacher_if_found())
        )

    def write_report(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        plots: str | os.PathLike[str] | None = None,
        title: str | None = None,
        card: str | os.PathLike[str] | None = None,
    ) -> Path:
        """Write one HTML page with all that was measured; see `ghostify.write_report`."""
        return write_report(self.path, out, plots=plots, title=title, card=card)


def save(
    model: nn.Module,
    path: str | os.PathLike[str],
    *,
    original: nn.Module | None = None,
    example: Example | None = None,
    source: ModelSource | None = None,
    weights: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Artifact:
    """Write a converted model to a folder: ``ghostify.json`` and ``model.safetensors``.

    The folder is written atomically.

    Args:
        model: what `convert` returned, perhaps trained since.
        path: the folder to make.
        original: the unconverted network, for what the returned artifact measures.
        example: an input, for the same.
        source: where the unconverted network comes from, so that `load` can build it.
        weights: the file that the unconverted network's weights are in, so that `Artifact` finds
            them. Default: the one that `models.load_weights` or `models.build` read.
        options: what the plan was made by, such as ``{"budget": ["macs=0.5"]}``; for reports.
        force: replace an existing artifact.

    Raises:
        GhostifyError: if the model was not converted, the folder exists, or there is something to
            save that is not a tensor or, in ``source`` and ``options``, not JSON.
        OSError: if it cannot be written.
    """
    check_model(model)
    path = Path(path)
    known = OriginalWeights.find(model)
    if weights is not None and known is not None:
        known.from_file(weights, file_digest(Path(weights))).attach(model)
    write_folder(model, path, source=source, options=options, force=force)
    artifact = Artifact(path, original, example=example)
    artifact.model = model if original is None else in_type_of(original, model, path)
    if sensitivity := Sensitivity.find(model):
        artifact.remember("sensitivity", sensitivity.to_dict())
    return artifact


@overload
def load(path: str | os.PathLike[str], model: Model) -> Model: ...
@overload
def load(path: str | os.PathLike[str], model: None = None) -> nn.Module: ...
def load(path: str | os.PathLike[str], model: nn.Module | None = None) -> nn.Module:
    """Read a converted model back.

    Args:
        path: a folder that `save` made.
        model: the unconverted network, whose weights do not matter; it is not changed. Not needed
            if the artifact was made from a named network of an installed library.

    Returns:
        The converted model with the saved weights in their saved types, on the devices of
        ``model``. No code of the artifact is run.

    Raises:
        GhostifyError: if the artifact is damaged, or made from another network.
        OSError: if it cannot be read.
    """
    if model is not None:
        check_model(model)
    artifact = Artifact(path, model)
    return read_folder(artifact.path, artifact.original)
