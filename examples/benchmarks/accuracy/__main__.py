"""Accuracy after conversion and after recovery, compared with pruning at equal MACs.

    python -m accuracy digits                   after the conversion, without training
    python -m accuracy photographs
    python -m accuracy digits-recovered         after --steps of training, 75 by default
    python -m accuracy photographs-recovered    after --minutes of training without labels

Run in examples/benchmarks, after ``pip install -e '.[bench,train]'``. Networks for the digits are
trained first, for some minutes each, and cached in --cache. Photographs are taken from two Debian
packages and kept in --photos. Prints one line per result and a table at the end.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch

from . import debian_photographs, keeping, recovering
from .methods import METHODS
from .networks import trained

SHARES = {
    "digits": "0.52,0.29,0.15",
    "photographs": "0.9,0.8,0.7,0.6",
    "digits-recovered": "0.52,0.29,0.15",
    "photographs-recovered": "0.9,0.8,0.7,0.6",
}
METHODS_OF = {
    "digits": tuple(METHODS),
    "photographs": tuple(METHODS),
    "digits-recovered": recovering.DIGIT_METHODS,
    "photographs-recovered": recovering.PHOTOGRAPH_METHODS,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bed", choices=SHARES)
    parser.add_argument("--networks", default="ResNet-20,VGG-16", help="networks for the digits")
    parser.add_argument("--seeds", default="0,1,2", help="seeds for the digits")
    parser.add_argument("--shares", help="shares of the MACs")
    parser.add_argument("--methods", help="names, separated by double commas")
    parser.add_argument("--images", help="numbers of photographs to calibrate with")
    parser.add_argument(
        "--steps", type=int, default=recovering.STEPS, help="training steps on digits"
    )
    parser.add_argument("--minutes", type=float, default=15.0)
    cache = Path.home() / ".cache" / "ghostify-accuracy"
    parser.add_argument("--cache", type=Path, default=cache, help="folder of trained networks")
    parser.add_argument(
        "--photos", type=Path, default=cache / "photographs", help="folder of photographs"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shares = [float(share) for share in (options.shares or SHARES[options.bed]).split(",")]
    methods = options.methods.split(",,") if options.methods else METHODS_OF[options.bed]
    names, seeds = options.networks.split(","), list(map(int, options.seeds.split(",")))
    networks = partial(trained, cache=options.cache)
    if options.bed.startswith("photographs"):
        debian_photographs.make(options.photos)
    match options.bed:
        case "digits":
            keeping.on_digits(names, seeds, shares, methods, networks)
        case "photographs":
            numbers = list(map(int, options.images.split(","))) if options.images else [None]
            keeping.on_photographs(shares, methods, numbers, options.photos)
        case "digits-recovered":
            recovering.on_digits(names, seeds, shares, methods, networks, options.steps)
        case "photographs-recovered":
            recovering.on_photographs(shares, methods, options.minutes, options.photos)


main()
