"""The Ghost module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._jit_internal import is_scripting

from ghostify.nn.cheap_operation import CheapOperation
from ghostify.nn.ghost_op import ghost_maps, in_order, is_recorded, run
from ghostify.nn.hooks import has_hooks
from ghostify.types import GhostifyError, GhostSpec


class GhostModule(nn.Module):
    """A convolution that makes few maps itself and the rest from them (arXiv 1911.11907).

    The primary convolution makes m = ceil(n / s) intrinsic maps, the cheap operation n - m
    ghosts of them (Eq. 2 and 3); the output is their concatenation. Without ``norm`` and
    ``activation`` this is the paper's definition, a linear layer that stands wherever a
    ``Conv2d`` stood; with them it is the authors' code, where both halves have their own.
    Parameter names are those of the authors' code, whose state dicts load at s = 2 for even n.

    Positional arguments are those of ``torch.nn.Conv2d``; stride, dilation and padding belong to
    the primary convolution, and with ``bias`` the ghosts have one too.

    Args:
        ratio: s, outputs for each intrinsic map; any number above 1.
        dw_size: d, the side of the cheap operation's kernel; odd.
        norm: makes a normalisation from a number of channels, such as ``nn.BatchNorm2d``.
        activation: makes an activation, such as ``nn.ReLU``.

    Attributes:
        order: a buffer ``(out_channels,)``: output j is entry ``order[j]`` of the concatenation;
            None where that is j itself. A state dict that has an order, or biases that the module
            lacks, brings them along.

    Shape:
        as ``torch.nn.Conv2d``: ``(N, C, H, W) -> (N, out_channels, H', W')``.

    Raises:
        GhostifyError: if ``ratio`` or ``dw_size`` is out of range, or leaves no ghost to make.
    """

    groups = 1

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
        """A linear Ghost module whose primary convolution is there already.

        Args:
            primary: makes m = ceil(``out_channels`` / s) maps; of any class.
            out_channels: n, all maps to make.
            ghost: s and d.

        Raises:
            GhostifyError: if ``primary`` makes another number of maps, or leaves no ghost to make.
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
        intrinsic = primary.out_channels
        if intrinsic == out_channels or intrinsic != ghost.intrinsic(out_channels):
            raise GhostifyError(
                f"ratio (={ghost.ratio}) leaves no ghost to make of out_channels (={out_channels})"
                if intrinsic == out_channels
                else f"primary.out_channels (={intrinsic}) must be {ghost.intrinsic(out_channels)}"
            )
        cheap = CheapOperation(
            intrinsic,
            out_channels - intrinsic,
            ghost.dw_size,
            bias=primary.bias is not None,
            device=primary.weight.device,
            dtype=primary.weight.dtype,
        )
        self.in_channels = primary.in_channels
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

    def forward(self, x: Tensor) -> Tensor:
        if not is_scripting():  # noqa: SIM102
            if is_recorded():  # apart, so that TorchScript does not compile it
                return self._recorded(x)
        return self._concatenated(self.primary_conv(x))

    def _concatenated(self, intrinsic: Tensor) -> Tensor:
        maps = torch.cat([intrinsic, self.cheap_operation(intrinsic)], -3)
        if self.order is not None and torch.compiler.is_compiling():
            return maps.index_select(-3, self.order)  # exporters: one gather, by a constant
        return in_order(maps, self.order)

    @torch.jit.unused
    def _recorded(self, x: Tensor) -> Tensor:
        """By one operation that keeps less for its backward, where it makes no difference else."""
        intrinsic, made = run(self.primary_conv, x)
        cheap = self._bare_cheap_operation()
        if made is None or cheap is None or not cheap.weight.requires_grad:
            return self._concatenated(intrinsic)
        weight, bias = cheap.weight, cheap.bias
        maps: Tensor = ghost_maps(
            intrinsic,
            weight.to(intrinsic.dtype),
            None if bias is None else bias.to(intrinsic.dtype),
            self.order,
            *made,
        )
        return maps

    def _bare_cheap_operation(self) -> CheapOperation | None:
        """The cheap operation, if calling it as a module makes no difference."""
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
            bias = state_dict.get(f"{prefix}{name}.0.bias")
            if bias is not None and operation.bias is None:
                like = operation.get_parameter("weight")
                operation.bias = nn.Parameter(like.new_empty(bias.shape))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, ratio={self.ratio}, dw_size={self.dw_size}"
        )


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
