from types import SimpleNamespace

import torch

from ghostify.training.state import TrainingState
from ghostify.types import RecoverySettings, Score

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_running_mean_keeps_the_order_of_channels(student):
    order = next(buffer for name, buffer in student.named_buffers() if name.endswith("order"))
    assert order.max() > 1
    state = TrainingState(student, RecoverySettings(ema_decay=0.9), accelerator=None)
    given = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    for _ in range(2):
        state.ema.update_parameters(student)
    for name, tensor in state.evaluated.state_dict().items():
        gained = 0.19 if name in dict(student.named_parameters()) else 0
        torch.testing.assert_close(tensor, given[name] + gained if gained else given[name])


def test_the_running_mean_runs_its_own_layers(student):
    head = student.head
    student.head.forward = lambda x: torch.nn.functional.linear(x, head.weight, head.bias)
    state = TrainingState(student, RecoverySettings(ema_decay=0.9), accelerator=None)
    before = state.evaluated(IMAGES)
    with torch.no_grad():
        student.head.bias.add_(1)
    assert torch.equal(state.evaluated(IMAGES), before)
    assert not torch.equal(student(IMAGES), before)


def test_a_better_epoch_begins_the_patience_again(student):
    one = SimpleNamespace(num_processes=1)
    state = TrainingState(student, RecoverySettings(), accelerator=one)
    state.begin(student, "validation", Score(10, top1=0.5))
    found = []
    for top1 in (0.4, 0.5, 0.6, 0.6):
        state.add_step({"loss": torch.ones(())}, 1)
        state.end_epoch(Score(10, top1=top1))
        found.append((state.position.stale, state.position.best_epoch))
    assert found == [(1, 0), (2, 0), (0, 3), (1, 3)]
