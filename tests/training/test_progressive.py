from dataclasses import replace

import pytest
import torch

import ghostify
from ghostify import GhostifyError, Plan, Recovery, RecoverySettings
from ghostify.nn import GhostModule
from ghostify.planning import plan_sites
from ghostify.training.progressive import _groups


def test_all_layers_in_the_end_and_each_step_is_trained(teacher, data):
    example = torch.randn(1, 3, 8, 8)
    plan = plan_sites(ghostify.analyze(teacher, example), ratio=2)
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    recovered, recovery = ghostify.recover_by_steps(
        teacher, example, plan, data, RecoverySettings(epochs=1), steps=2, validation=data
    )
    assert Plan.of(recovered).replaced == plan.replaced
    assert all(isinstance(recovered.get_submodule(name), GhostModule) for name in plan.replaced)
    assert (recovery.steps, recovery.images) == (6, 6 * 16)
    assert [(record["part"], record["epoch"]) for record in recovery.history] == [(1, 1), (2, 2)]
    assert recovery.original.agreement == 1
    assert Recovery.find(recovered) == recovery
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


@pytest.mark.parametrize("steps", [0, 9])
def test_there_is_a_layer_for_each_step(teacher, data, steps):
    example = torch.randn(1, 3, 8, 8)
    plan = plan_sites(ghostify.analyze(teacher, example), ratio=2)
    with pytest.raises(GhostifyError, match=rf"steps \(={steps}\) must be from 1 to 2"):
        ghostify.recover_by_steps(teacher, example, plan, data, steps=steps)


def test_interrupted_steps_go_on_to_the_same_weights(teacher, data, tmp_path, interrupted):
    example = torch.randn(1, 3, 8, 8)
    plan = plan_sites(ghostify.analyze(teacher, example), ratio=2)
    batches, settings = list(data), RecoverySettings(epochs=2)

    def train(folder, batches=batches, resume=False):
        told = []
        recovered, _ = ghostify.recover_by_steps(
            teacher, example, plan, batches, settings, steps=2, calibration=batches,
            validation=data, folder=folder, resume=resume, on_epoch=told.append,
        )  # fmt: skip
        return recovered.state_dict(), told

    whole, _ = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):  # 1 batch to see, 6 learnt in the first step, 1 to see
        train(tmp_path / "stopped", interrupted(batches, 10))
    with pytest.raises(GhostifyError, match="unfinished training"):
        train(tmp_path / "stopped")
    resumed, told = train(tmp_path / "stopped", resume=True)
    assert [(record["part"], record["epoch"]) for record in told] == [(2, 1), (2, 2)]
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_what_a_remembered_order_says(teacher, data):
    example = torch.randn(1, 3, 8, 8)
    plan = plan_sites(ghostify.analyze(teacher, example), ratio=2)
    first, second = plan.replaced
    sensitivity = ghostify.sensitivity(teacher, example)
    for least, most in [(first, second), (second, first)]:
        damages = {least: dict.fromkeys(plan.replaced.values(), 0.1),
                   most: dict.fromkeys(plan.replaced.values(), 0.2)}  # fmt: skip
        groups = _groups(plan, 2, replace(sensitivity, layers=damages))
        assert groups == [{least}, {most}]
