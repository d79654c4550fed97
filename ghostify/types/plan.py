"""Plans: what becomes of each convolution of a model."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Self

from ghostify.types.attachment import Attachment
from ghostify.types.constraints import NonNegativeInt
from ghostify.types.conv_site import ConvSite
from ghostify.types.displayed import Displayed
from ghostify.types.errors import GhostifyError
from ghostify.types.ghost_spec import GhostSpec
from ghostify.types.region import Region
from ghostify.types.score import Score
from ghostify.types.serialization import Serializable, decode, encode, joined

_RANGES = re.compile(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*")
_PRIMARY = ".primary_conv.0"
"""The convolution in a Ghost module that reads its input."""

_MOST = 100_000
"""Number of channels beyond which no convolution has some."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision on one convolution: replace it by ``ghost``, or keep it for the reason ``keep``.

    Either may have fewer output channels.

    Attributes:
        width: number of output channels that are left; None for all.
        channels: which ones are left, in ascending order; None to choose them at the conversion.

    Raises:
        GhostifyError: unless exactly one of ``ghost`` and ``keep`` is given, if ``ghost`` is given
            for an ineligible site, or ``width`` for one whose output channels cannot be dropped.
    """

    site: ConvSite
    ghost: GhostSpec | None = None
    keep: str | None = None
    width: int | None = None
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if (self.ghost is None) == (self.keep is None):
            raise GhostifyError("give either `ghost` or `keep`")
        if self.keep is not None and not self.keep.strip():
            raise GhostifyError("`keep` must be a reason in words")
        if self.ghost is not None and self.site.ineligible is not None:
            raise GhostifyError(f"{self.site.name} cannot be replaced: {self.site.ineligible}")
        if self.width is not None:
            self._check_width(self.width)
        elif self.channels is not None:
            raise GhostifyError(f"{self.site.name}: `channels` needs `width`")

    def _check_width(self, width: int) -> None:
        name, outputs = self.site.name, self.site.geometry.out_channels
        if self.site.region is None:
            why = self.site.unprunable or "the site was analyzed without its region"
            raise GhostifyError(f"{name} cannot have another `width` (={width}): {why}")
        if not 1 <= width < outputs:
            raise GhostifyError(
                f"{name}: `width` (={width}) must be from 1 to {outputs - 1}; without it, all "
                f"{outputs} channels stay"
            )
        if self.ghost is not None and self.ghost.intrinsic(width) == width:
            raise GhostifyError(f"{name}: {self.ghost} leaves no ghost of `width` (={width})")
        if self.channels is None:
            return
        if len(self.channels) != width:
            raise GhostifyError(
                f"{name}: `channels` lists {len(self.channels)}, not `width` (={width}); leave "
                "`channels` out to choose them at the conversion"
            )
        ascending = all(a < b for a, b in pairwise(self.channels))
        if not ascending or self.channels[0] < 0 or self.channels[-1] >= outputs:
            raise GhostifyError(f"{name}: `channels` must ascend, from 0 to {outputs - 1}")

    @property
    def changes(self) -> bool:
        """Whether the convolution is replaced or loses output channels."""
        return self.ghost is not None or self.width is not None


@dataclass(frozen=True, slots=True)
class Plan(Attachment, Serializable, Displayed):
    """One decision for each convolution of a model, in the order of execution.

    ``print(plan)`` shows a summary. Its JSON has one entry per layer, by qualified name, which
    begins with the decision.
    """

    _format: ClassVar[str] = "ghostify-plan/1"

    decisions: tuple[Decision, ...]

    @property
    def replaced(self) -> dict[str, GhostSpec]:
        """The Ghost modules by qualified name of the convolution that they replace."""
        return {d.site.name: d.ghost for d in self.decisions if d.ghost is not None}

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the convolutions that are replaced or lose output channels."""
        return tuple(d.site.name for d in self.decisions if d.changes)

    @property
    def widths(self) -> dict[str, int]:
        """Output channels that are left, by name of the convolution that loses some."""
        return {d.site.name: d.width for d in self.decisions if d.width is not None}

    @property
    def kept_channels(self) -> dict[str, tuple[int, ...]]:
        """Which output channels are left, by name of each layer that loses some.

        These are the convolutions with a width, and the layers along the way of their outputs.
        """
        return {
            name: decision.channels
            for decision in self.decisions
            if decision.channels is not None and (region := decision.site.region)
            for name in (decision.site.name, *region.channelwise, *region.gates)
        }

    @property
    def kept_inputs(self) -> dict[str, tuple[int, ...]]:
        """Which inputs are left, by name of each layer that mixes channels and loses some.

        A linear layer that reads flattened feature maps has several inputs for each channel.
        """
        return {
            name: tuple(spread * channel + place for channel in kept for place in range(spread))
            for decision in self.decisions
            if (kept := decision.channels) is not None and (region := decision.site.region)
            for name, spread in region.readers.items()
        }

    @property
    def converted_sites(self) -> tuple[ConvSite, ...]:
        """The sites with the channels that the plan leaves them, in order."""
        inputs: dict[str, int] = {}
        outputs = self.widths
        for decision in self.decisions:
            if decision.width is not None and (region := decision.site.region):
                inputs |= dict.fromkeys((*region.readers, *region.channelwise), decision.width)
                along = (*region.channelwise, *region.gates)
                outputs |= dict.fromkeys(along, decision.width)
        sites = (decision.site for decision in self.decisions)
        return tuple(s.narrowed(inputs.get(s.name), outputs.get(s.name)) for s in sites)

    def keeping(self, reasons: Mapping[str, str]) -> Plan:
        """Return the plan with these convolutions kept, by qualified name and reason."""
        return Plan(
            tuple(
                Decision(d.site, keep=reasons[d.site.name])
                if d.changes and d.site.name in reasons
                else d
                for d in self.decisions
            )
        )

    def with_channels(self, channels: Mapping[str, tuple[int, ...]]) -> Plan:
        """Return the plan with the channels that are left, by qualified name."""
        return Plan(
            tuple(
                replace(d, channels=channels[d.site.name]) if d.site.name in channels else d
                for d in self.decisions
            )
        )

    def then(self, later: Plan) -> Plan:
        """Return the plan of two conversions, ``later`` that of the result of this one."""
        by_name = {decision.site.name: decision for decision in later.decisions}
        return Plan(
            tuple(
                _combined(d, by_name[d.site.name], self.replaced) if d.site.name in by_name else d
                for d in self.decisions
            )
        )

    @classmethod
    def of(cls, model: Any) -> Plan:
        """Return the plan that ``model`` was converted with.

        Raises:
            GhostifyError: if the model was not returned by `convert`.
        """
        plan = cls.find(model)
        if plan is None:
            raise GhostifyError(
                f"{type(model).__name__} is not a converted model: pass what ghostify.convert "
                "returned"
            )
        return plan

    def to_dict(self) -> dict[str, Any]:
        """Return the format and the layers as JSON types."""
        layers = {d.site.name: _encode_decision(d) for d in self.decisions}
        return {"format": self._format, "layers": layers}

    @classmethod
    def _decode(cls, data: Any, path: str) -> Self:
        layers = _Layers._decode(data, path).layers
        where = joined(path, "layers")
        return cls(tuple(_decode_decision(n, layers[n], f"{where}[{n!r}]") for n in layers))


@dataclass(frozen=True, slots=True)
class _Layers(Serializable):
    _format: ClassVar[str] = Plan._format

    layers: Mapping[str, Mapping[str, Any]]


def _combined(first: Decision, later: Decision, ghosts: Container[str]) -> Decision:
    """Return the decision on the original's site; a Ghost module is not replaced again."""
    if first.ghost is not None:
        return first
    site = replace(first.site, ineligible=later.site.ineligible)
    if first.width is None and site.region is not None and later.site.region is None:
        site = replace(site, region=None, unprunable=later.site.unprunable)
    elif later.width is not None and site.region is None and later.site.region is not None:
        region = _before_ghosts(later.site.region, ghosts)
        site = replace(site, region=region, unprunable=None)
    channels = first.channels
    if later.channels is not None:  # those of the first conversion's result
        left = channels or range(first.site.geometry.out_channels)
        channels = tuple(left[channel] for channel in later.channels)
    return Decision(site, later.ghost, later.keep, later.width or first.width, channels)


def _before_ghosts(region: Region, ghosts: Container[str]) -> Region:
    """Return a region with the names that its readers had before Ghost modules replaced them."""
    names = {name: name.removesuffix(_PRIMARY) for name in region.readers}
    readers = {
        names[name] if names[name] in ghosts else name: spread
        for name, spread in region.readers.items()
    }
    return replace(region, readers=readers)


def _encode_decision(decision: Decision) -> dict[str, Any]:
    site = encode(decision.site)
    del site["name"]
    verdict: dict[str, Any] = (
        {"keep": decision.keep} if decision.ghost is None else {"ghost": decision.ghost}
    )
    if decision.width is not None:
        verdict["width"] = decision.width
    if decision.channels is not None:
        verdict["channels"] = _ranges(decision.channels)
    return {**encode(verdict), **site}


def _decode_decision(name: str, entry: Mapping[str, Any], path: str) -> Decision:
    verdict = {key: entry[key] for key in ("ghost", "keep", "width", "channels") if key in entry}
    rest = {key: value for key, value in entry.items() if key not in verdict}
    site = decode(ConvSite, {**rest, "name": name}, path)
    if "channels" in verdict:
        verdict["channels"] = _numbers(decode(str, verdict["channels"], joined(path, "channels")))
    return decode(Decision, {**verdict, "site": site}, path)  # type: ignore[no-any-return]


def _ranges(numbers: Iterable[int]) -> str:
    """Format ``(0, 1, 2, 5)`` as ``0-2,5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def _numbers(text: str) -> tuple[int, ...]:
    """Parse what `_ranges` formats."""
    if not _RANGES.fullmatch(text):
        raise GhostifyError(f"`channels` (={text!r}) must be numbers and ranges, such as 0-2,5")
    ends = [[int(number) for number in run.split("-")] for run in text.split(",")]
    if sum(abs(run[-1] - run[0]) for run in ends) > _MOST:
        raise GhostifyError("`channels` must be channels of one convolution")
    return tuple(number for run in ends for number in range(run[0], run[-1] + 1))


@dataclass(frozen=True, slots=True)
class PlanCandidate(Serializable):
    """A plan that `search` tried.

    Attributes:
        plan: its description, such as ``macs=0.5, s up to 4``.
        uniform: whether all sites have the same ratio and kernel size.
        macs: MACs of all convolutions in one forward pass, replaced or not.
        score: score on held-out images, with the original as teacher.
    """

    plan: str
    uniform: bool
    macs: NonNegativeInt
    score: Score
