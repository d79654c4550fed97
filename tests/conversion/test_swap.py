"""Plans with widths: checked whole, applied, verified and put back."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostModule
from ghostify.conversion.swap import swap
from ghostify.types import Decision, GhostSpec, Plan
from ghostify.types.region import Region

IMAGE = torch.randn(1, 3, 12, 12)


class Net(nn.Module):
    """Two regions; the width of the second is hard-coded in the forward where ``fixed``."""

    def __init__(self, fixed=False):
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.two = nn.Conv2d(8, 16, 3)
        self.three = nn.Conv2d(16, 6, 1)
        self.fixed = fixed

    def forward(self, x):
        x = self.two(self.norm(self.one(x)).relu()).relu()
        if self.fixed:
            x = x.view(len(x), 16, 8, 8)
        return self.three(x)


def planned(model, ghost=None, **widths):
    """A plan of these widths, with the last channels."""
    decisions = []
    for site in ghostify.analyze(model, IMAGE):
        decision = Decision(site, keep="a test") if ghost is None else Decision(site, ghost)
        if width := widths.get(site.name):
            outputs = site.geometry.out_channels
            decision = replace(decision, width=width, channels=tuple(range(outputs))[-width:])
        decisions.append(decision)
    return Plan(tuple(decisions))


def edited(plan, name, **changes):
    """The plan with another decision on one layer."""
    return Plan(tuple(replace(d, **changes) if d.site.name == name else d for d in plan.decisions))


def with_region(plan, name, **changes):
    site = next(d.site for d in plan.decisions if d.site.name == name)
    return edited(plan, name, site=replace(site, region=replace(site.region, **changes)))


def test_ghost_modules_of_narrowed_layers():
    model = Net()
    plan = planned(model, GhostSpec(2, 3), one=5, two=12)
    converted, verified = swap(model, plan, IMAGE)
    assert verified == plan
    assert isinstance(converted.two, GhostModule)
    assert converted.two.in_channels == 5
    assert torch.equal(converted.two.primary_conv[0].weight, model.two.weight[4:10, 3:])
    assert torch.equal(converted.norm.running_var, model.norm.running_var[3:])
    converted(IMAGE).sum().backward()


def test_widths_alone():
    model = Net()
    converted, _ = swap(model, planned(model, one=1), IMAGE)
    assert [converted.one.out_channels, converted.two.in_channels] == [1, 1]
    assert model.one.out_channels == 8


def test_a_saved_plan_is_applied_without_an_example():
    model = Net()
    plan = Plan.from_json(planned(model, GhostSpec(2, 3), one=5, two=12).to_json())
    assert swap(model, plan)[0](IMAGE).shape == (1, 6, 8, 8)


def test_a_width_that_breaks_the_network_is_put_back():
    model = Net(fixed=True)
    ghosts = GhostSpec(2, 3)
    plan = edited(planned(model, one=5, two=12), "two", ghost=ghosts, keep=None)
    converted, verified = swap(model, plan, IMAGE)
    assert verified.widths == {"one": 5}
    assert verified.replaced == {"two": ghosts}
    assert converted.two.out_channels == 16
    (site,) = (d.site for d in verified.decisions if d.site.name == "two")
    assert site.region is None
    assert site.unprunable.startswith("put back: ")


def test_all_put_back():
    model = Net(fixed=True)
    with pytest.raises(GhostifyError, match="nothing to replace in Net: .* put back: "):
        swap(model, planned(model, two=12), IMAGE)


WRONG = {
    "`width` (=5) needs `channels`": lambda plan: edited(plan, "one", channels=None),
    "the plan names nom, which the model lacks; did you mean norm?": lambda plan: with_region(
        plan, "one", channelwise=("nom",)
    ),
    "drops channels of one, but three reads 16, not 8": lambda plan: with_region(
        plan, "one", readers={"three": 1}
    ),
    "drops channels of one, but two has 16 channels, not 8": lambda plan: with_region(
        plan, "one", gates=("two",)
    ),
    "drops channels of one, but norm is a BatchNorm2d": lambda plan: with_region(
        plan, "one", readers={"norm": 1}
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_plans_that_do_not_fit(message):
    model = Net()
    plan = WRONG[message](planned(model, one=5, two=12))
    with pytest.raises(GhostifyError) as error:
        swap(model, plan)
    assert message in str(error.value)


def test_layers_that_cannot_be_narrowed():
    model = Net()
    plan = planned(model, one=5)
    model.three.weight = nn.Parameter(torch.zeros(16, 8, 3, 3))
    model.two.weight = model.three.weight
    with pytest.raises(GhostifyError, match="but two shares its parameters"):
        swap(model, plan)
    model = Net()
    model.norm.register_forward_hook(lambda *_: None)
    with pytest.raises(GhostifyError, match="but norm has hooks"):
        swap(model, plan)


def test_other_readers_than_the_plan_says():
    model = Net()
    plan = planned(model, one=1)
    for other in ({"channelwise": ()}, {"gates": ("two",)}, {"readers": {"three": 1}}):
        with pytest.raises(GhostifyError, match="other layers read one here; plan again"):
            swap(model, with_region(plan, "one", **other), IMAGE)

    class Residual(Net):
        def forward(self, x):
            one = self.norm(self.one(x)).relu()
            return self.three(self.two(one + one.roll(1, 1)).relu())

    with pytest.raises(GhostifyError, match="drops channels of one, which are read by roll"):
        swap(Residual(), plan, IMAGE)


def test_a_plan_for_a_layer_without_a_region():
    site = ghostify.analyze(Net(), IMAGE)[-1]
    assert site.unprunable == "an output of the network"
    with pytest.raises(GhostifyError, match="three cannot have another `width`"):
        Decision(site, keep="a test", width=2)
    assert Decision(replace(site, region=Region()), keep="a test", width=2).changes
