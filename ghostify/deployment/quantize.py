"""INT8: how the library of each runtime quantizes an exported file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from platform import machine
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from torch import Tensor

from ghostify.deployment.exporters import openvino_core, quiet
from ghostify.types import GhostifyError
from ghostify.types.errors import install

_LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_SCORES = {"HardSigmoid", "Sigmoid", "Softmax"}
_QUANTIZED_CONCAT = ["QuantizeLinear", "DequantizeLinear", "Concat", "QuantizeLinear"]


class Inputs(Protocol):
    """Inputs to calibrate with: the tensors that a session takes, usually of one image each."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Sequence[Tensor]]: ...


@dataclass(frozen=True)
class Quantizer:
    """How to quantize the files of one export format.

    Weights and activations become INT8, weights by output channel. Which layers stay in float32 is
    the library's choice.

    Attributes:
        package: what quantizing imports beyond the packages of the format.
        write: reads a float32 file, measures the ranges of its activations and writes an INT8 file.
    """

    package: str
    write: Callable[[Path, Path, Inputs], None]

    def check_installed(self) -> None:
        """Raise a `GhostifyError` that says what to install, if a package is missing."""
        if find_spec(self.package) is None:
            raise GhostifyError(f"INT8 needs {self.package}: {install('int8')}")


def _quantize_onnx(source: Path, target: Path, inputs: Inputs) -> None:
    """Write QDQ nodes, as ONNX Runtime's documentation advises for CPUs.

    Products of 8 by 8 bits saturate on x86 without VNNI; weights have 7 bits there.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, names: list[str]) -> None:
            self.left = iter(inputs)
            self.names = names

        def get_next(self) -> dict[str, object] | None:
            tensors = next(self.left, None)
            if tensors is None:
                return None
            return {n: t.numpy() for n, t in zip(self.names, tensors, strict=True)}

    with TemporaryDirectory() as folder, quiet():
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(source, prepared)
        model = onnx.load(prepared, load_external_data=False)
        graph = model.graph
        for place, node in enumerate(graph.node):
            node.name = node.name or f"node_{place}"  # nodes are left out by name
        onnx.save(model, prepared)
        quantize_static(
            prepared,
            target,
            Reader([value.name for value in graph.input]),
            nodes_to_exclude=_after_last_layers(graph),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=_saturates(),
        )
        _share_scales(target)


def _after_last_layers(graph: Any) -> list[str]:
    """Return the names of the nodes after the last layers with weights, if they make scores.

    A detector concatenates boxes in pixels and scores from 0 to 1 there. One scale for both would
    round the scores to zero.
    """
    last = []
    needed: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in _LAYERS or needed.intersection(node.output):
            needed.update(node.input)
        else:
            last.append(node)
    gated = [set(node.input) for node in last if node.op_type == "Mul"]  # of SiLU and Hardswish
    has_scores = any(
        node.op_type in _SCORES and {node.input[0], node.output[0]} not in gated for node in last
    )
    return [node.name for node in last] if has_scores else []


def _share_scales(path: Path) -> None:
    """Quantize what only a concatenation reads with the scale of the concatenation.

    It is rounded to that scale in any case. With one scale, ONNX Runtime copies bytes, as OpenVINO
    does with NNCF's scales.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    readers, replaced = defaultdict(list), set()
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    for node in model.graph.node:
        chain = [node]
        while len(chain) < 5 and len(readers[chain[-1].output[0]]) == 1:
            chain += readers[chain[-1].output[0]]
        first, *others = (each.op_type for each in chain)
        if first in ("Conv", "Add") and others == _QUANTIZED_CONCAT:
            for each in chain[1:3]:
                replaced.update(each.input[1:])
                del each.input[1:]
                each.input.extend(chain[4].input[1:])
    replaced.difference_update(name for node in model.graph.node for name in node.input)
    left = [tensor for tensor in model.graph.initializer if tensor.name not in replaced]
    del model.graph.initializer[:]
    model.graph.initializer.extend(left)
    onnx.save(model, path)


def _quantize_openvino(source: Path, target: Path, inputs: Inputs) -> None:
    """Keep NNCF's choices, but measure ranges over all inputs as ONNX Runtime does.

    NNCF's own estimate, the mean over the inputs, loses more; so does halving weights, which CPUs
    with VNNI do not need.
    """
    import nncf
    import openvino
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    parameters = nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        overflow_fix=None if _saturates() else nncf.OverflowFix.DISABLE,
    )
    with quiet():
        network = nncf.quantize(
            openvino_core().read_model(source),
            nncf.Dataset(inputs, lambda tensors: tuple(tensor.numpy() for tensor in tensors)),
            subset_size=len(inputs),
            target_device=nncf.TargetDevice.CPU,
            advanced_parameters=parameters,
        )
        openvino.save_model(network, target, compress_to_fp16=False)


def _saturates() -> bool:
    """Whether sums of two 8-bit products overflow 16 bits: on x86 without VNNI."""
    return machine() in ("x86_64", "AMD64") and not torch.cpu._is_vnni_supported()


QUANTIZERS: dict[str, Quantizer] = {
    "onnx": Quantizer("onnxruntime", _quantize_onnx),
    "openvino": Quantizer("nncf", _quantize_openvino),
}
"""How to quantize, by export format."""


def quantizer_for(to: str) -> Quantizer:
    """Return the quantizer of an export format; a format without one is an error."""
    if to not in QUANTIZERS:
        raise GhostifyError(f"`int8` is for {' and '.join(QUANTIZERS)}, not {to}")
    return QUANTIZERS[to]
