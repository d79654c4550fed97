import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError
from ghostify.training.optim import make_optimizers
from ghostify.types import RecoverySettings


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_norms_and_biases_do_not_decay(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    settings = RecoverySettings(optimizer=name, weight_decay=0.5)
    (optimizer,) = make_optimizers(model.parameters(), settings)
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert decays[id(model[0].weight)] == 0.5
    assert decays[id(model[0].bias)] == decays[id(model[1].weight)] == 0


def test_muon_is_refused_before_any_work_where_torch_lacks_it(teacher, student, data, monkeypatch):
    if hasattr(torch.optim, "Muon"):
        monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(GhostifyError, match=r"`optimizer` \(='muon'\) requires PyTorch 2.9"):
        ghostify.recover(teacher, student, None, optimizer="muon")
    _, recovery = ghostify.recover(teacher, student, data, epochs=1)
    assert recovery.settings.optimizer == "adamw"


has_muon = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="requires PyTorch 2.9")


@has_muon
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_muon_takes_filters_as_rows_of_a_matrix(layout):
    weight = torch.randn(6, 4, 3, 3)
    gradient = torch.randn_like(weight)
    matrix = nn.Parameter(weight.flatten(1).clone())
    matrix.grad = gradient.flatten(1).clone()
    torch.optim.Muon([matrix], lr=0.1, weight_decay=0, adjust_lr_fn="match_rms_adamw").step()
    layer = nn.Conv2d(4, 6, 3)
    layer.weight.data = weight.clone(memory_format=layout)
    layer.weight.grad = gradient.clone(memory_format=layout)
    settings = RecoverySettings(optimizer="muon", weight_decay=0)
    optimizers = make_optimizers([layer.weight], settings)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        optimizer.step()
    # the iteration runs in bfloat16, and columns in another order round otherwise
    torch.testing.assert_close(layer.weight.flatten(1), matrix, atol=3e-3, rtol=0)
    assert not torch.equal(layer.weight, weight)


@has_muon
def test_muon_leaves_kernels_of_one_input_and_vectors_to_adamw():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4))
    muon, adamw = make_optimizers(model.parameters(), RecoverySettings(optimizer="muon"))
    own = [id(p) for group in muon.param_groups for p in group["params"]]
    assert own == [id(model[0].weight)]
    others = [p for group in adamw.param_groups for p in group["params"]]
    assert len(others) == len(list(model.parameters())) - 1


@has_muon
def test_muon_resumes_from_its_state():
    def run(steps, state=None):
        torch.manual_seed(steps[0])
        optimizers = make_optimizers([layer.weight], RecoverySettings(optimizer="muon"))
        if state:
            optimizers[0].load_state_dict(state)
        for step in steps:
            layer.weight.grad = torch.randn(
                layer.weight.shape, generator=torch.Generator().manual_seed(step)
            )
            optimizers[0].step()
        return optimizers[0].state_dict()

    layer = nn.Linear(5, 4)
    begin = layer.weight.detach().clone()
    run([1, 2, 3])
    whole = layer.weight.detach().clone()
    layer.weight.data.copy_(begin)
    run([3], run([1, 2]))
    assert torch.equal(layer.weight, whole)
