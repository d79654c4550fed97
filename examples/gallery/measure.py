"""Measure the networks of the documentation's gallery.

    python examples/gallery/measure.py [resnet20 resnet50 vgg16_bn efficientnet-lite0]

Requires ``pip install -e '.[bench,export,report,train]'``. Writes a folder for each network next to
this file, with the recipe and the measurements, without the weights. Takes some minutes per
network.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import skimage.data
import skimage.io
import torch

ROOT = Path(__file__).parents[2]
GALLERY = Path(__file__).parent
RUNTIMES = ["--runtime", "eager,onnxruntime,openvino", "--seconds", "30"]
NOT_KEPT = ("*.safetensors", "*.onnx", "*.html", "trials")
LITE0 = ["--model", "lite0.py:build"]


def ghostify(*arguments: str, cwd: Path) -> None:
    """Print a command and run it."""
    print("ghostify", *arguments, flush=True)
    subprocess.run(
        [sys.executable, "-m", "ghostify", *arguments],
        cwd=cwd, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def compressed(name: str, folder: str, cwd: Path) -> None:
    """Compress a network that reads digits."""
    subprocess.run([sys.executable, ROOT / "examples" / "train_digits.py"], cwd=cwd, check=True)
    network = [f"ghostify:cifar_{name}", "--weights", f"{name}.safetensors"]
    data = ["--data", "mnist5k", "--max-drop", "1", "--minutes", "10", "--runtime", "onnxruntime"]
    ghostify("compress", *network, *data, "--out", folder, cwd=cwd)


def uniform(name: str, folder: str, cwd: Path) -> None:
    """Measure a network of torchvision at s=2, with random weights."""
    ghostify("convert", name, "--ratio", "2", "--out", folder, cwd=cwd)
    ghostify("benchmark", folder, *RUNTIMES, cwd=cwd)
    ghostify("export", folder, "--to", "onnx", cwd=cwd)


def calibrated(name: str, folder: str, cwd: Path) -> None:
    """Measure EfficientNet-Lite0 within a budget, calibrated on photographs."""
    sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))
    from accuracy import debian_photographs, photographs

    shutil.copy(Path(__file__).with_name("lite0.py"), cwd)
    debian_photographs.make(cwd / "photographs")
    images = photographs.center_crops(cwd / "photographs" / "train", size=224)
    torch.save(images[:256], cwd / "photographs.pt")
    skimage.io.imsave(cwd / "cat.png", skimage.data.chelsea())
    data = ["--calibration", "photographs.pt"]
    network = ["lite0.py:build", "--input", "3x224x224"]
    ghostify("convert", *network, "--budget", "macs=0.75", *data, "--out", folder, cwd=cwd)
    ghostify("benchmark", folder, *LITE0, *RUNTIMES, cwd=cwd)
    ghostify("export", folder, *LITE0, "--to", "onnx", cwd=cwd)
    torch.save(_weights(cwd), cwd / "weights.pt")
    with_image = ["--image", "cat.png", "--weights", "weights.pt", "--out", "page.html"]
    ghostify("report", folder, *LITE0, *with_image, cwd=cwd)


def _weights(cwd: Path) -> dict[str, torch.Tensor]:
    sys.path.insert(0, str(cwd))
    from lite0 import build

    return build().state_dict()


NETWORKS = {
    "resnet20": compressed,
    "resnet50": uniform,
    "vgg16_bn": uniform,
    "efficientnet-lite0": calibrated,
}


def main() -> None:
    """Measure the named networks, or all of them."""
    for name in sys.argv[1:] or NETWORKS:
        with tempfile.TemporaryDirectory() as work:
            folder = f"{name}-ghost"
            NETWORKS[name](name, folder, Path(work))
            made, kept = Path(work, folder), GALLERY / folder
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(made, kept, ignore=shutil.ignore_patterns(*NOT_KEPT))


if __name__ == "__main__":
    main()
