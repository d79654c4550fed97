"""Seeds that are functions of several numbers."""

import numpy as np


def seed_of(*numbers: int) -> int:
    """A seed of 32 bits, which is all that torch's generators take on the CPU."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
