"""Knowledge distillation: train a converted network with its original as teacher."""

from ghostify.training.recover import recover

__all__ = ["recover"]
