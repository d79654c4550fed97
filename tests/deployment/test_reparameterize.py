import pytest
import torch
from torch import nn

import ghostify
from ghostify import RecoverySettings
from ghostify.nn import GhostBottleneckV3, GhostModuleV3
from ghostify.types import Recovery


@pytest.fixture
def network():
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        GhostBottleneckV3(8, 24, 12, 3, 2, attend=True),
        GhostModuleV3(12, 16),
        nn.Conv2d(16, 32, 3),
    )
    for _ in range(3):
        net(torch.randn(4, 3, 16, 16))
    return net.eval()


def branched(model):
    return [m for m in model.modules() if isinstance(m, (GhostBottleneckV3, GhostModuleV3))]


def test_the_same_outputs_from_fewer_parameters(network, image):
    fused = ghostify.reparameterize(network)
    assert torch.allclose(fused(image), network(image), atol=1e-5)
    assert not branched(fused)
    assert sum(p.numel() for p in fused.parameters()) < sum(p.numel() for p in network.parameters())


def test_the_model_itself_is_left(network, image):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    ghostify.reparameterize(network).requires_grad_(False)
    assert len(branched(network)) == 4
    after = network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(p.requires_grad for p in network.parameters())


def test_a_fused_copy_shares_nothing_and_can_be_trained(network, image):
    fused = ghostify.reparameterize(network).train()
    assert all(module.training for module in fused.modules())
    fused(torch.randn(4, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in fused.parameters())
    assert all(p.grad is None for p in network.parameters())


def test_no_random_number_is_drawn(network):
    state = torch.get_rng_state()
    ghostify.reparameterize(network)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_model_may_be_branched_itself():
    ghost = GhostModuleV3(4, 8).eval()
    assert type(ghostify.reparameterize(ghost)) is ghostify.GhostModule


def test_what_carries_hooks_stays(network, image):
    seen = []
    network[2].register_forward_hook(lambda *_: seen.append(1))
    fused = ghostify.reparameterize(network)
    assert [type(m) for m in branched(fused)] == [GhostModuleV3]
    fused(image)
    assert seen


def test_a_fused_conversion_is_no_artifact(network, image, tmp_path):
    ghost = ghostify.convert(network, image)
    assert set(ghostify.Plan.of(ghost).replaced) == {"3"}
    recovery = Recovery(RecoverySettings(), steps=3, images=96, seconds=1.0, ended="epochs")
    recovery.attach(ghost)
    fused = ghostify.reparameterize(ghost)
    with pytest.raises(ghostify.GhostifyError):
        ghostify.save(fused, tmp_path / "out")
    assert Recovery.find(fused) is None


def test_deployed_without_branches_or_batch_norms(network, image):
    deployed = ghostify.deploy(network, image)
    assert not branched(deployed)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in deployed.modules())
    assert torch.allclose(deployed(image), network(image), atol=1e-5)
