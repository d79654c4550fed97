"""Load weights from a file into a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from ghostify.models.foreign_tensors import check_dense, entries_of, named_tensors, read_tensors
from ghostify.models.identity import attach_origin
from ghostify.models.nests import Nest, find_nests
from ghostify.nn.lazy import check_not_lazy
from ghostify.types import GhostifyError
from ghostify.types.errors import first_names
from ghostify.types.model_source import describe

_PROFILER_BUFFERS = ("total_ops", "total_params")
"""Counts that thop leaves in a network."""

_CONVOLUTION = 4  # dimensions of its weight


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """The result of `load_weights`.

    Attributes:
        loaded: names of the tensors that were loaded.
        missing: names in the network that the file lacks.
        unexpected: names in the file that the network lacks.
        mismatched: names in both whose shapes differ.
        nest: what the loaded tensors are nested under and prefixed with in the file, such as
            ``state_dict.module``.
        passed_over: nests that hold as much of the network but were not loaded.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    nest: str = ""
    passed_over: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        if self.passed_over:
            others = ", ".join(self.passed_over)
            parts = [f"{len(self.loaded)} tensors of {self.nest} loaded, not those of {others}"]
        reasons = ("missing", "unexpected", "skipped: wrong shape")
        lists = (self.missing, self.unexpected, self.mismatched)
        for names, reason in zip(lists, reasons, strict=True):
            if names:
                parts.append(f"{len(names)} {reason} ({first_names(names)})")
        return "; ".join(parts)


def load_weights(model: nn.Module, path: str | Path, *, partial: bool = False) -> LoadedWeights:
    """Load weights from a safetensors file or a checkpoint of any trainer.

    The network's tensors are found by their names, whatever they are nested under and prefixed with
    (``state_dict``, ``model.module.``, ``_orig_mod.``). Of several nests, the one that holds most
    of the network is loaded, and moving averages (``model_ema``) are preferred to raw weights. A
    pickled module is read too, without running code of the file. The network remembers the file, so
    that an artifact made from it does (`OriginalWeights`).

    Args:
        model: the network. It does not change if an error is raised.
        path: the file.
        partial: load what fits. By default, all tensors must fit, only linear layers may be
            missing, and the file may have no further convolutions in the parts that the network
            has.

    Raises:
        GhostifyError: if the file cannot be read, does not fit, or holds values that are not
            finite or of another kind than the network's.
        OSError: if there is no such file.
    """
    path = Path(path)
    check_not_lazy(model)
    tensors = _read(path)
    own = {n: t for n, t in model.state_dict().items() if isinstance(t, Tensor)}
    nests = find_nests(tensors, model)
    kind = type(model).__name__
    if not nests:
        raise GhostifyError(
            f"{path} has 0 of the {len(own)} tensors of {kind}: it holds {first_names(tensors)}; "
            "is it the checkpoint of another network?"
        )
    nest, passed_over = _choose(nests)
    lacking = _lacking(nest, model, own)
    if lacking and not partial:
        raise GhostifyError(
            f"{path} has {len(nest.fitting)} of the {len(own)} tensors of {kind}: {lacking}. Build "
            f"the network {_that_fits(nest, own)}, or pass `partial=True` to load what fits"
        )
    for name, tensor in nest.fitting.items():
        _check_values(tensor, own[name], f"{path}: {name}")
    model.load_state_dict(nest.fitting, strict=False)
    attach_origin(model, file=path)
    return LoadedWeights(
        loaded=tuple(nest.fitting),
        missing=tuple(n for n in own if n not in nest.fitting and n not in nest.mismatched),
        unexpected=tuple(nest.unexpected),
        mismatched=tuple(nest.mismatched),
        nest=nest.prefix,
        passed_over=passed_over,
    )


def _read(path: Path) -> dict[str, Tensor]:
    """Return all tensors in a file, by dotted names."""
    content = read_tensors(path)
    tensors = {
        name: tensor
        for name, tensor in named_tensors(_without_swapped(content)).items()
        if name.rpartition(".")[2] not in _PROFILER_BUFFERS
    }
    if not tensors:
        holds = f", only {first_names(entries_of(content))}" if entries_of(content) else ""
        raise GhostifyError(f"{path} holds no tensors by name{holds}")
    for name, tensor in tensors.items():
        check_dense(tensor, f"{path}: {name}")
    return tensors


def _without_swapped(content: object) -> object:
    """Leave out MMEngine's ``ema_state_dict``: it has the raw weights, ``state_dict`` the mean."""
    entries = entries_of(content)
    if "message_hub" not in entries:
        return content
    return {name: entry for name, entry in entries.items() if name != "ema_state_dict"}


def _choose(nests: list[Nest]) -> tuple[Nest, tuple[str, ...]]:
    """Return the nest to load, and the prefixes of others that hold about as much.

    What a moving average lacks, such as the statistics of BatchNorms, is added from the best nest.
    """
    best = nests[0]
    equal = [nest for nest in nests if 2 * nest.values > best.values]
    chosen = next((nest for nest in equal if nest.averaged), best)
    others = tuple(nest.prefix or "the file itself" for nest in equal if nest is not chosen)
    return replace(chosen, fitting={**best.fitting, **chosen.fitting}), others


def _lacking(nest: Nest, model: nn.Module, own: Mapping[str, Tensor]) -> str | None:
    """Return why a nest does not hold the network; None if all but linear layers is there."""
    shapes = [
        f"{name} is {describe(tensor)} instead of {describe(own[name])}"
        for name, tensor in nest.mismatched.items()
        if own[name].is_floating_point()
    ]
    if shapes:
        return first_names(shapes)
    linear = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    needed = [
        name
        for name, tensor in own.items()
        if tensor.is_floating_point() and name.rpartition(".")[0] not in linear
    ]
    lacking = [name for name in needed if name not in nest.fitting]
    if lacking:
        return f"it lacks {first_names(lacking)}"
    parts = {name.partition(".")[0] for name in own}
    more = [
        name
        for name, tensor in nest.unexpected.items()
        if tensor.dim() >= _CONVOLUTION and name.partition(".")[0] in parts
    ]
    if more:
        return f"it has more layers ({first_names(more)})"
    known = sum(tensor.numel() for tensor in own.values())
    return "most values do not fit" if 2 * nest.values < known else None


def _that_fits(nest: Nest, own: Mapping[str, Tensor]) -> str:
    """Say which network a nest is for: one of other classes, if only classifiers do not fit."""
    shapes = [(tensor.shape, own[name].shape) for name, tensor in nest.mismatched.items()]
    classes = {theirs[0] for theirs, _ in shapes if theirs}
    is_complete = len(nest.fitting) + len(shapes) == len(own)
    are_classifiers = all(
        theirs[1:] == ours[1:] and theirs[2:].numel() == 1 for theirs, ours in shapes
    )
    if len(classes) == 1 and is_complete and are_classifiers:
        return f"for {(number := classes.pop())} classes, such as with `num_classes={number}`"
    return "that it is for"


def _check_values(tensor: Tensor, own: Tensor, name: str) -> None:
    """Check that a tensor has the kind of the network's, and is finite where that is."""
    wanted = _kind(own)
    if wanted != "integer" and _kind(tensor) != wanted:
        given, taken = (str(t.dtype).removeprefix("torch.") for t in (tensor, own))
        raise GhostifyError(f"{name} holds {given}, but the network takes {taken}")
    wrong = ~tensor.to(own.dtype).isfinite()
    if own.isfinite().cpu()[wrong].any():
        raise GhostifyError(f"{name} holds NaN or infinite values")


def _kind(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "complex"
    return "floating" if tensor.is_floating_point() else "integer"
