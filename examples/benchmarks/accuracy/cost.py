"""Time and memory of the initialization of converted networks.

    python -m accuracy.cost [--images 128] [--networks resnet50,vgg16]    (in examples/benchmarks)

Weights are random, which changes neither; BatchNorms have seen one batch. Memory is the peak of the
process's own memory (RssAnon of Linux) above its level before. Samples are in temporary files,
whose pages belong to the system's cache; their size is printed separately.
"""

import argparse
import threading
import time
from pathlib import Path

import torch
from torchvision.models import get_model

import ghostify
from ghostify.planning import plan_sites


def resident_mb(kind: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


class Peak(threading.Thread):
    """Peak memory while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = {kind: resident_mb(kind) for kind in ("RssAnon", "RssFile")}
        self.most = dict(self.before)
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            for kind in self.most:
                self.most[kind] = max(self.most[kind], resident_mb(kind))

    def above(self, kind: str) -> float:
        return self.most[kind] - self.before[kind]


def measure(name: str, images: torch.Tensor) -> str:
    model = get_model(name)
    with torch.no_grad():
        model.train()(images[:16])
    model.eval()
    weights = sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20
    example = images[:1]
    sites = ghostify.analyze(model, example)
    rows = []
    for init in ("weights", "calibrated"):
        peak = Peak()
        peak.start()
        start = time.perf_counter()
        ghostify.convert(
            model,
            example,
            plan=plan_sites(sites),
            init=init,
            calibration=list(images.split(8)) if init == "calibrated" else None,
        )
        seconds = time.perf_counter() - start
        peak.over.set()
        peak.join()
        rows.append(
            f"| {name} | {init} | {seconds:.0f} s | {peak.above('RssAnon'):.0f} MB | "
            f"{peak.above('RssAnon') / weights:.1f}x | {peak.above('RssFile'):.0f} MB |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--networks", default="resnet50,vgg16,mobilenet_v2")
    options = parser.parse_args()
    torch.manual_seed(0)
    images = torch.randn(options.images, 3, 224, 224)
    print(f"{options.images} images of 224x224, {torch.get_num_threads()} threads, s = 2, d = 3\n")
    print("| network | init | time | memory | of the weights | temporary files |")
    print("|---|---|---|---|---|---|")
    for name in options.networks.split(","):
        print(measure(name, images), flush=True)


main()
