"""The accuracy back: a converted network is trained with its original as teacher."""

from ghostify.recovery.recovering import recover
from ghostify.recovery.training import Moment

__all__ = ["Moment", "recover"]
