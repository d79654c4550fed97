from contextlib import suppress

from torch import nn

from ghostify.analysis.preserve import eval_mode


def test_evaluation_mode_ends_with_the_block():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(3).eval(), nn.ReLU()))
    before = [module.training for module in model.modules()]
    with suppress(KeyError), eval_mode(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert [module.training for module in model.modules()] == before
    assert before[0]
