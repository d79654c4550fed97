import torch

from ghostify.training.state import TrainingState
from ghostify.types import RecoverySettings


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
