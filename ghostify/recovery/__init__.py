"""The accuracy back: a converted network is trained with its original as teacher."""

from ghostify.recovery.recovering import recover
from ghostify.recovery.steps import recover_by_steps
from ghostify.recovery.training import Moment

__all__ = ["Moment", "recover", "recover_by_steps"]
