import random
from contextlib import suppress

import numpy as np
import torch
from torch import nn

from ghostify.analysis.preserve import eval_mode, exact_float32, preserve_rng


def test_evaluation_mode_ends_with_the_block():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3).eval(), nn.ReLU()))
    before = [module.training for module in model.modules()]
    with suppress(KeyError), eval_mode(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert [module.training for module in model.modules()] == before
    assert before[0]


def test_all_generators_go_on_as_if_nothing_had_been_drawn():
    def draw():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    expected = draw()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    with suppress(KeyError), preserve_rng():
        draw()
        raise KeyError
    assert draw() == expected


def test_float32_is_exact_in_the_block():
    def read():
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = read()
    with suppress(KeyError), exact_float32():
        if hasattr(torch.backends.cudnn, "conv"):  # from PyTorch 2.9 on
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        else:
            assert read() == (False, False)
        raise KeyError
    assert read() == before
    assert before[0]
