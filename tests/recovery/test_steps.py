import pytest
import torch

import ghostify
from ghostify import GhostifyError, Plan, RecoverySettings
from ghostify.layers import GhostModule


def test_all_layers_in_the_end_and_each_step_is_trained(teacher, data):
    example = torch.randn(1, 3, 8, 8)
    plan = ghostify.plan(ghostify.analyze(teacher, example), ratio=2)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    recovered, recoveries = ghostify.recover_by_steps(
        teacher, example, plan, data, RecoverySettings(epochs=1), steps=2, validation=data
    )
    assert Plan.of(recovered).replaced == plan.replaced
    assert all(isinstance(recovered.get_submodule(name), GhostModule) for name in plan.replaced)
    assert [recovery.steps for recovery in recoveries] == [3, 3]
    assert all(recovery.original.agreement == 1 for recovery in recoveries)
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


@pytest.mark.parametrize("steps", [0, 9])
def test_there_is_a_layer_for_each_step(teacher, data, steps):
    example = torch.randn(1, 3, 8, 8)
    plan = ghostify.plan(ghostify.analyze(teacher, example), ratio=2)
    with pytest.raises(GhostifyError, match=rf"steps \(={steps}\) must be from 1 to 2"):
        ghostify.recover_by_steps(teacher, example, plan, data, steps=steps)
