"""Loss increase when output channels of a layer are dropped: the error of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import pi
from typing import Any

import torch
from torch import Tensor, nn

from ghostify.analysis.dataflow import is_norm
from ghostify.conversion.init.channel_order import Reader, channel_order
from ghostify.conversion.init.fisher import increase_by_error
from ghostify.conversion.init.weights import FilterMoments, norm_importance
from ghostify.types import ConvSite, Region, WidthSensitivity


class ChannelSensitivity:
    """Collects the covariances of what reads each region, until its channels can be ordered.

    Attributes:
        producers: the convolution whose channels a layer reads, by name of the layer.
        found: sensitivities by name of the convolution.
    """

    def __init__(
        self, model: nn.Module, sites: Iterable[ConvSite], importance: Mapping[str, Tensor]
    ) -> None:
        self.found: dict[str, WidthSensitivity] = {}
        self.producers: dict[str, str] = {}
        self._importance = importance
        self._weights: dict[str, Tensor] = {}
        self._waiting = readers_of(sites)
        self._readers: dict[str, list[Reader]] = {site: [] for site in self._waiting}
        for site, readers in self._waiting.items():
            producer: Any = model.get_submodule(site)
            for name in readers:
                self.producers[name] = site
                layer = model.get_submodule(name)
                self._weights[name] = _weight_by_channel(layer, producer.out_channels)

    def channels(self, layer: str) -> int:
        """Return the number of channels that a layer reads."""
        return self._weights[layer].shape[1]

    def add(self, layer: str, covariances: list[Tensor]) -> None:
        """Add what a layer reads; orders the channels if it is the last that reads them."""
        producer, weight = self.producers[layer], self._weights[layer]
        increase = increase_by_error(self._importance.get(layer), len(weight)).to(weight)
        weighted = weight * increase.sqrt()[:, None, None]
        parts = [weighted] if len(covariances) == 1 else list(torch.split(weighted, 1, 2))
        self._readers[producer] += map(Reader, parts, covariances)
        self._waiting[producer].remove(layer)
        if not self._waiting[producer]:
            self.found[producer] = WidthSensitivity(*channel_order(self._readers.pop(producer)))


def readers_of(sites: Iterable[ConvSite]) -> dict[str, list[str]]:
    """Return the layers that read each region, by name of its convolution."""
    return {site.name: list(site.region.readers) for site in sites if site.region is not None}


@torch.no_grad()
def from_weights(
    model: nn.Module, sites: Iterable[ConvSite], norms: Mapping[str, str]
) -> dict[str, WidthSensitivity]:
    """Estimate sensitivities without data, as shares of the variance of the readers' outputs.

    Channels correlate as their filters do, and have the variance of a rectified Gaussian with the
    mean and deviation of the last BatchNorm on the way.

    Args:
        norms: by layer, the BatchNorm that alone reads it.
    """
    found = {}
    for site in sites:
        if site.region is not None:
            covariance = _estimated_covariance(model, site.name, site.region)
            readers = [
                _by_variance(model, name, norms.get(name), covariance)
                for name in site.region.readers
            ]
            found[site.name] = WidthSensitivity(*channel_order(readers))
    return found


def _weight_by_channel(layer: nn.Module, channels: int) -> Tensor:
    """``(o, c, t)``: the weight of a convolution or linear layer."""
    weight = layer.get_parameter("weight").detach()
    return weight.reshape(len(weight), channels, -1)


def _estimated_covariance(model: nn.Module, name: str, region: Region) -> Tensor:
    filters = model.get_submodule(name).get_parameter("weight").detach().flatten(1).float()
    lengths = filters.norm(dim=1).clamp_min(1e-20)
    norms = [m for m in map(model.get_submodule, region.channelwise) if is_norm(m)]
    deviation = _rectified_variance(norms[-1]).sqrt() if norms else lengths
    scaled: Tensor = filters * (deviation / lengths)[:, None].to(filters)
    return (scaled @ scaled.T).double()


def _rectified_variance(norm: nn.Module) -> Tensor:
    """``(c,)``: variance of max(x, 0), where x has mean and deviation by a BatchNorm."""
    like = norm.get_buffer("running_mean").double()
    gamma, beta = norm.weight, norm.bias
    scale = gamma.double().abs() if isinstance(gamma, Tensor) else torch.ones_like(like)
    mean = beta.double() if isinstance(beta, Tensor) else torch.zeros_like(like)
    scale = scale.clamp_min(1e-20)
    density = (-(mean / scale).square() / 2).exp() / (2 * pi) ** 0.5
    positive = torch.special.ndtr(mean / scale)
    first = mean * positive + scale * density
    second = (mean.square() + scale.square()) * positive + mean * scale * density
    variance: Tensor = second - first.square()
    return variance.clamp_min(0)


def _by_variance(model: nn.Module, name: str, norm: str | None, covariance: Tensor) -> Reader:
    """Weight the outputs of a reader so that all channels together cost 1."""
    layer: Any = model.get_submodule(name)
    by_tap = _weight_by_channel(layer, len(covariance)).float().permute(0, 2, 1)
    variance = ((by_tap @ covariance.float()) * by_tap).sum((1, 2), dtype=torch.float64)
    importance = 1 / variance.clamp_min(1e-20)
    if norm is not None:
        moments = FilterMoments.of(layer, 1)
        importance = norm_importance(moments, model.get_submodule(norm)).double()
    share = importance / (importance * variance).sum().clamp_min(1e-30)
    rows = (by_tap * share.sqrt()[:, None, None].to(by_tap)).flatten(0, 1)
    return Reader(rows[:, :, None], covariance.clone())
