"""The accuracy back: a converted network is trained with its original as teacher."""

from ghostify.training.progressive import recover_by_steps
from ghostify.training.recover import recover
from ghostify.training.trainer import TrainingProgress

__all__ = ["TrainingProgress", "recover", "recover_by_steps"]
