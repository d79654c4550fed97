"""Train a converted network with its original as teacher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from ghostify.analysis.arguments import check_model
from ghostify.data import Data, opened, remember_images
from ghostify.data.batches import find_device
from ghostify.io.atomic import check_writable
from ghostify.io.progress import is_main_process, progress_bar
from ghostify.models.identity import check_original, weights_digest
from ghostify.training.checkpoint import (
    has_checkpoint,
    has_ended,
    has_stages,
    remove_leftovers,
    stage_folder,
)
from ghostify.training.claim import claimed
from ghostify.training.held_out import divide
from ghostify.training.job import Job, OnEpoch
from ghostify.training.optim import check_optimizer
from ghostify.training.origin import Origin
from ghostify.training.progressive import train, train_in_stages
from ghostify.types import (
    Example,
    GhostifyError,
    Lineage,
    OriginalWeights,
    Recovery,
    RecoverySettings,
    SeenImages,
    Sensitivity,
)
from ghostify.types.errors import near
from ghostify.types.outputs import OutputsLike
from ghostify.types.progress import ShowProgress

Model = TypeVar("Model", bound=nn.Module)


def recover(
    teacher: nn.Module,
    student: Model,
    data: Data | Iterable[Any] | str | Path,
    settings: RecoverySettings | None = None,
    *,
    stages: int | None = None,
    validation: Iterable[Any] | None = None,
    outputs: OutputsLike = None,
    example: Example | None = None,
    sensitivity: Sensitivity | None = None,
    calibration: Any = None,
    folder: str | Path | None = None,
    device: str | None = None,
    resume: bool = False,
    force: bool = False,
    tensorboard: bool = False,
    progress: ShowProgress = True,
    on_epoch: OnEpoch | None = None,
    **options: Any,
) -> tuple[Model, Recovery]:
    """Train a converted network by distillation from its original. Neither network is changed.

    The distillation loss is the KL divergence of classes and labels, and the relative squared error
    of values (`Outputs`). ``feature_weight`` adds a loss of feature maps at the converted layers,
    ``alpha`` one of labels.

    The result has the best weights of all epochs, or those of ``student`` if no epoch is better.
    From 200 held-out images on, half of them, at random, choose the epoch, and the other half
    report the scores; if the chosen epoch is worse than ``student`` on these by more than noise,
    the result has the weights of ``student``. Noise is the standard error: of a share, such as
    the top-1 accuracy, or of a mean divergence or error, whose standard deviation is taken to be
    twice the mean. With fewer images the same ones do both.
    Equal scores are ordered by the divergence from the teacher. An epoch whose share is six noises
    below the best one, or whose divergence is twice as high, has collapsed: the training goes back
    to the best weights, with a quarter of the learning rate.

    All parameters are trained, also frozen ones; those of the result require a gradient where those
    of ``student`` do.

    Accelerate chooses the device. Processes that ``accelerate launch`` or ``torchrun`` has started
    divide each batch among them.

    Args:
        teacher: the original, trained.
        student: a converted copy of it, from `convert` or `load`.
        data: a `Data`, or the name of a source as in `open_data`; a DataLoader; or any iterable
            that can be iterated repeatedly; batches are ``images`` or ``(images, labels)``.
        settings: how to train. Default: `RecoverySettings()`.
        stages: progressive conversion in this many stages. The teacher is converted to the plan of
            ``student``, the least sensitive layers first, and trained after each stage for the
            epochs or minutes of the settings. The last stage has to beat ``student``.
        validation: batches to choose the epoch by and to report scores on. Default: those of a
            `Data`, or else a tenth of the training images, from 16 to 512, which are not trained
            on. Of fewer than 64 images none is held out, and the training images choose.
        outputs: what the outputs are, as in `convert`. Default: found by the labels, by what
            `convert` found, or by the teacher's outputs.
        example: an input, as in `convert`. Default: the first image of the data.
        sensitivity: with ``stages``, the order of the layers. Default: a geometric estimate.
        calibration: with ``stages``, calibration images, as in `convert`. Default: the first 256
            of the data.
        folder: where to write ``history.jsonl`` and checkpoints: one per epoch and one every
            ``checkpoint_minutes``. The last one stays; resumed, it gives the result at once.
        device: where to train, for a single process. Default: Accelerate's choice, a GPU if there
            is one.
        resume: continue from the checkpoint in ``folder``, which must be of a training with the
            same arguments.
        force: train with a teacher that has other weights than the network that was converted.
        tensorboard: also write TensorBoard events to ``folder``.
        progress: whether to show a bar, or a function that is called with each `Progress`: while
            training, several times a second, with a `TrainingProgress`.
        on_epoch: called with the record of each epoch, as in `Recovery.history`.
        options: fields of `RecoverySettings`, which replace those of ``settings``.

    Returns:
        A copy of the student in evaluation mode, and the record of the training, which `save`
        keeps as well.

    Raises:
        GhostifyError: if an argument does not fit, the teacher is randomly initialized or has other
            weights than the network that was converted, ``folder`` holds an unfinished training and
            ``resume`` is False, or no checkpoint of this training and it is True, the loss is not
            finite, or Accelerate is missing.
        KeyboardInterrupt: on Ctrl-C, after a checkpoint.
        OSError: if ``folder`` cannot be written.
    """
    check_model(teacher, "teacher")
    check_model(student, "student")
    _check_teacher(teacher, student, force)
    if device is not None:
        find_device(device)
    settings = _merged(settings or RecoverySettings(), options)
    check_optimizer(settings.optimizer)
    if stages is None and not (sensitivity is None and calibration is None):
        raise GhostifyError("`sensitivity` and `calibration` require `stages`")
    data = opened(data, teacher, example)
    training, held_out = divide(data, validation)
    folder = None if folder is None else Path(folder)
    if folder is not None:
        check_writable(folder / "history.jsonl")
    elif resume:
        raise GhostifyError("`resume` requires `folder`")
    with claimed(folder), progress_bar("", progress) as update:  # the detail says what is done
        _check_folder(folder, stages, resume)
        if not callable(progress):
            update(0, 100, "recovering")
        show = progress if callable(progress) else lambda p: update(p.done, p.total, p.detail)
        job = Job(
            teacher=teacher,
            data=training,
            held_out=held_out,
            outputs=outputs,
            origin=Origin(weights_digest(student), weights_digest(teacher), settings, stages),
            settings=settings,
            example=example,
            folder=folder,
            device=device,
            resume=resume,
            tensorboard=tensorboard,
            report=show,
            on_epoch=on_epoch or (lambda record: None),
        )
        if stages is None:
            model, recovery = train(job, student)
        else:
            model, recovery = train_in_stages(
                job, student, stages, sensitivity, calibration, progress
            )
    if weights := OriginalWeights.find(student):
        weights.attach(model)  # stages convert the teacher, which `force` allows to be another
    _restore_flags(model, student)
    lineage = Lineage.of(student)
    (lineage.then("recovered") if recovery.best_epoch else lineage).attach(model)
    if seen := SeenImages.find(student):
        seen.attach(model)
    if recovery.best_epoch:
        remember_images(model, data)
    return model, recovery


def _restore_flags(model: nn.Module, student: nn.Module) -> None:
    """Freeze what is frozen in ``student``; the training has trained all parameters."""
    given = dict(student.named_parameters())
    for name, parameter in model.named_parameters():
        if name in given:
            parameter.requires_grad_(given[name].requires_grad)


def _check_teacher(teacher: nn.Module, student: nn.Module, force: bool) -> None:
    weights = OriginalWeights.find(student)
    if force:
        return check_original(teacher, None)
    try:
        check_original(teacher, weights)
    except GhostifyError as error:
        raise GhostifyError(f"{error}. `force=True` allows another trained teacher") from error


def _merged(settings: RecoverySettings, options: dict[str, Any]) -> RecoverySettings:
    known = [field.name for field in fields(RecoverySettings)]
    for name in options:
        if name not in known:
            raise GhostifyError(f"recover has no setting `{name}`{near(name, known)}")
    return replace(settings, **options)


def _check_folder(folder: Path | None, stages: int | None, resume: bool) -> None:
    """Refuse to mix kinds of training, to overwrite an unfinished one or to resume none."""
    if folder is None:
        return
    if is_main_process():
        remove_leftovers(folder)
    places = [stage_folder(folder, n + 1) for n in range(stages)] if stages else [folder]
    found = any(map(has_checkpoint, places))
    if stages is None and has_stages(folder):
        held = "a progressive training: pass `stages`"
    elif stages is not None and has_checkpoint(folder):
        held = "a training without stages: leave out `stages`"
    elif resume and not found:
        raise GhostifyError(f"{folder} holds no checkpoint to resume: leave out `resume`")
    elif found and not resume and not has_ended(places[-1]):
        held = "an unfinished training: pass `resume`"
    else:
        return
    raise GhostifyError(f"{folder} holds {held}, or remove the folder")
