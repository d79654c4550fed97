"""Random number generators of a process."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def seed_of(*numbers: int) -> int:
    """Return a seed of 32 bits, all that torch's generators take on the CPU."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def generator_states() -> dict[str, Any]:
    """Return the states of all generators, in types that torch.load accepts with ``weights_only``.

    Accelerate has this only as part of ``save_state``, in pickles.
    """
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.array(keys, dtype=np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_generator_states(states: dict[str, Any]) -> None:
    """Restore what `generator_states` returned."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
