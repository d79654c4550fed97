"""Time and size of a report page, by the number of convolutions.

    python examples/benchmarks/report_speed.py [--rounds 5]

The artifacts are recipes without weights, in which every layer has an error and a sensitivity. The
target is a page of 1,000 convolutions in less than 3 s and 2 MB. CPU seconds are the time on a
machine without other work.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import ghostify
from ghostify import GhostSpec, Plan
from ghostify.io.measurements import record
from ghostify.io.recipe import Recipe, Weights, write_recipe
from ghostify.types import ConvSite, Decision, Fidelity, Geometry, Sensitivity

SIZES = (50, 200, 1000)


def site(place: int) -> ConvSite:
    """Return a convolution with 64 input and output channels on 28x28 feature maps."""
    geometry = Geometry(
        in_channels=64, out_channels=64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1),
        dilation=(1, 1), groups=1, bias=False, padding_mode="zeros",
    )  # fmt: skip
    name = f"stage{place // 50}.blocks.{place}.branch.conv"
    return ConvSite(name=name, type="Conv2d", geometry=geometry, output=(28, 28), positions=784)


def make(folder: Path, size: int) -> Path:
    """Write an artifact with this number of layers."""
    folder.mkdir()
    plan = Plan(tuple(Decision(site(place), ghost=GhostSpec()) for place in range(size)))
    numbers = {name: 0.01 + place / 1e4 for place, name in enumerate(plan.replaced)}
    recipe = Recipe(
        versions={"ghostify": ghostify.__version__, "torch": ""},
        model="net",
        plan=plan,
        fidelity=Fidelity("calibrated", numbers, images=256),
        weights=Weights("model.safetensors", "0" * 64),
    )
    write_recipe(folder, recipe)
    layers = {name: {GhostSpec(): number} for name, number in numbers.items()}
    record(
        folder, "sensitivity", Sensitivity(unit="KL (nats)", measured=True, layers=layers).to_dict()
    )
    return folder


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as work:
        folders = {size: make(Path(work, str(size)), size) for size in SIZES}
        pages = {size: ghostify.write_report(folder) for size, folder in folders.items()}
        times: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(rounds):
            for size, folder in folders.items():
                begin = time.perf_counter()
                ghostify.write_report(folder)
                times[size].append(time.perf_counter() - begin)
        first = statistics.median(times[SIZES[0]])
        for size, taken in times.items():
            median, kilobytes = statistics.median(taken), pages[size].stat().st_size / 1000
            print(
                f"{size:5} convolutions {median:6.2f} s {median / first:6.2f}x {kilobytes:7.0f} kB"
            )


if __name__ == "__main__":
    main()
