"""The Ghost module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._jit_internal import is_scripting

from ghostify.nn.channel_ops import permute_channels
from ghostify.nn.cheap_operation import CheapOperation
from ghostify.nn.ghost_op import ghost_features, is_training_step, run_primary
from ghostify.nn.hooks import has_hooks
from ghostify.types import GhostifyError, GhostSpec


class GhostModule(nn.Module):
    """Convolution that computes few feature maps and derives the others (arXiv 1911.11907).

    The primary convolution computes m = ceil(n / s) intrinsic feature maps, the cheap operation
    n - m ghosts from them (Eq. 2 and 3); the output is their concatenation. Without ``norm`` and
    ``activation`` this is the paper's definition, a linear layer that can replace any ``Conv2d``.
    With them it is the authors' code, where each half has its own. Parameter names are those of
    the authors' code; its state dicts load at s = 2 for even n.

    Positional arguments are those of ``torch.nn.Conv2d``. Stride, dilation and padding belong to
    the primary convolution; ``bias`` holds for the ghosts too.

    Args:
        ratio: s, outputs per intrinsic feature map; any number above 1.
        dw_size: d, kernel size of the cheap operation; odd.
        norm: returns a normalization layer for a number of channels, such as ``nn.BatchNorm2d``.
        activation: returns an activation, such as ``nn.ReLU``.

    Attributes:
        order: buffer ``(out_channels,)``: output j is entry ``order[j]`` of the concatenation. None
            for the identity. A state dict may bring an order, or biases, that the module lacks.

    Shape:
        as ``torch.nn.Conv2d``: ``(N, C, H, W) -> (N, out_channels, H', W')``.

    Raises:
        GhostifyError: if ``ratio`` or ``dw_size`` is out of range, or no ghost remains.
    """

    groups = 1
    __jit_unused_properties__ = ("in_channels",)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        ratio: float = GhostSpec.ratio,
        dw_size: int = GhostSpec.dw_size,
        norm: Callable[[int], nn.Module] | None = None,
        activation: Callable[[], nn.Module] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        primary = nn.Conv2d(
            in_channels,
            GhostSpec(ratio, dw_size).intrinsic(out_channels),
            kernel_size,
            stride,
            padding,
            dilation,
            bias=bias,
            padding_mode=padding_mode,  # type: ignore[arg-type]
            device=device,
            dtype=dtype,
        )
        self._assemble(primary, out_channels, GhostSpec(ratio, dw_size), norm, activation)

    @classmethod
    def from_primary(cls, primary: nn.Conv2d, out_channels: int, ghost: GhostSpec) -> GhostModule:
        """Build a linear Ghost module of n outputs around a convolution of m = ceil(n / s).

        Parameters of the cheap operation require a gradient where those of ``primary`` do.

        Raises:
            GhostifyError: if ``primary.out_channels`` is not m, or no ghost remains.
        """
        module = cls.__new__(cls)
        nn.Module.__init__(module)
        module._assemble(primary, out_channels, ghost)
        return module

    def _assemble(
        self,
        primary: nn.Conv2d,
        out_channels: int,
        ghost: GhostSpec,
        norm: Callable[[int], nn.Module] | None = None,
        activation: Callable[[], nn.Module] | None = None,
    ) -> None:
        intrinsic, needed = primary.out_channels, ghost.intrinsic(out_channels)
        if intrinsic == out_channels:
            channels = f"`out_channels` (={out_channels})"
            raise GhostifyError(f"`ratio` (={ghost.ratio}) leaves no ghost of {channels}")
        if intrinsic != needed:
            raise GhostifyError(f"`primary.out_channels` (={intrinsic}) must be {needed}")
        cheap = CheapOperation(
            intrinsic,
            out_channels - intrinsic,
            ghost.dw_size,
            bias=primary.bias is not None,
            device=primary.weight.device,
            dtype=primary.weight.dtype,
        )
        for name, parameter in cheap.named_parameters():
            parameter.requires_grad_(primary.get_parameter(name).requires_grad)
        self.out_channels = out_channels
        self.ratio = ghost.ratio
        self.dw_size = ghost.dw_size
        self.kernel_size = primary.kernel_size
        self.stride = primary.stride
        self.padding = primary.padding
        self.dilation = primary.dilation
        self.padding_mode = primary.padding_mode
        self.primary_conv = _with_norm(primary, intrinsic, norm, activation)
        self.cheap_operation = _with_norm(cheap, cheap.out_channels, norm, activation)
        self.order: Tensor | None
        self.register_buffer("order", None)

    def __getattr__(self, name: str) -> Any:
        if name == "weight":
            raise AttributeError(
                "a GhostModule has no `weight`: merge branches before the conversion, with "
                "ghostify.reparameterize, and fold BatchNorms after it, with ghostify.deploy"
            )
        return super().__getattr__(name)

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return int(self.get_submodule("primary_conv.0").in_channels)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        if not is_scripting():  # noqa: SIM102
            if is_training_step(x):  # nested, so that TorchScript does not compile it
                return self._forward_training(x)
        return self._concatenate(self.primary_conv(x))

    def _concatenate(self, intrinsic: Tensor) -> Tensor:
        features = torch.cat([intrinsic, self.cheap_operation(intrinsic)], -3)
        return features if self.order is None else permute_channels(features, self.order)

    @torch.jit.unused
    def _forward_training(self, x: Tensor) -> Tensor:
        """Run `ghost_features`, which saves less for backward, where the result is the same."""
        intrinsic, inputs = run_primary(self.primary_conv, x)
        cheap = self._bare_cheap_operation()
        if inputs is None or cheap is None or not cheap.weight.requires_grad:
            return self._concatenate(intrinsic)
        weight, bias = cheap.weight, cheap.bias
        features: Tensor = ghost_features(
            intrinsic,
            weight.to(intrinsic.dtype),
            None if bias is None else bias.to(intrinsic.dtype),
            self.order,
            *inputs,
        )
        return features

    def _bare_cheap_operation(self) -> CheapOperation | None:
        """Return the cheap operation if nothing but it runs in its half."""
        layers = list(self.cheap_operation.modules())
        cheap = layers[-1]
        if len(layers) != 2 or type(cheap) is not CheapOperation or has_hooks(self.cheap_operation):
            return None
        return cheap

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        order = state_dict.get(f"{prefix}order")
        if order is None and f"{prefix}primary_conv.0.weight" in state_dict:
            self.order = None
        elif order is not None and self.order is None:
            weight = self.get_submodule("primary_conv.0").get_parameter("weight")
            self.order = torch.empty_like(order, device=weight.device)
        for name in ("primary_conv", "cheap_operation"):
            operation = self.get_submodule(f"{name}.0")
            if f"{prefix}{name}.0.bias" in state_dict and operation.bias is None:
                add_bias(operation)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        channels = f"{self.in_channels}, {self.out_channels}"
        return f"{channels}, ratio={self.ratio}, dw_size={self.dw_size}"


def add_bias(operation: nn.Module) -> None:
    """Add a bias of zeros to a convolution or cheap operation, frozen if its weight is."""
    weight = operation.get_parameter("weight")
    operation.bias = nn.Parameter(weight.new_zeros(len(weight)), weight.requires_grad)


def _with_norm(
    operation: nn.Module,
    channels: int,
    norm: Callable[[int], nn.Module] | None,
    activation: Callable[[], nn.Module] | None,
) -> nn.Sequential:
    layers = [operation]
    if norm is not None:
        layers.append(norm(channels))
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)
