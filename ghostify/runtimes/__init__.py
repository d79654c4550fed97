"""What networks run in, to be timed there. A new runtime is one entry here."""

from ghostify.runtimes.registry import RUNTIMES, runtime_named
from ghostify.runtimes.runtime import Opener, Runtime

__all__ = ["RUNTIMES", "Opener", "Runtime", "runtime_named"]
