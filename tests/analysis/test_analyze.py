import pytest
import torch
from torch import nn
from torch.nn.utils import prune, weight_norm
from torchvision import ops

import ghostify
from ghostify import GhostifyError, GhostModule


def analyze(forward, example=None, **modules):
    """The sites of a model that has these modules and this forward, by name."""
    model = nn.Module()
    for name, module in modules.items():
        model.add_module(name, module)
    kind = type("Model", (nn.Module,), {"forward": forward})
    model.__class__ = kind
    x = torch.zeros(1, 4, 12, 12) if example is None else example
    return {site.name: site for site in ghostify.analyze(model, x)}


def conv(inputs=4, outputs=4, kernel=3, **options):
    return nn.Conv2d(inputs, outputs, kernel, **options)


def test_sites_in_the_order_of_execution(small_net, image):
    sites = ghostify.analyze(small_net, image)
    assert [site.name for site in sites] == ["stem", "wide", "depthwise", "project"]
    assert [site.stem for site in sites] == [True, False, False, False]


def test_maps_calls_and_positions(small_net):
    sites = ghostify.analyze(small_net, torch.zeros(2, 3, 16, 18))
    assert [site.output for site in sites] == [(16, 18), (8, 9), (8, 9), (8, 9)]
    assert [site.positions for site in sites] == [2 * 16 * 18, 2 * 72, 2 * 72, 2 * 72]
    assert {site.calls for site in sites} == {1}


def test_a_convolution_called_twice_counts_twice():
    site = analyze(lambda self, x: self.c(self.c(x)), c=conv())["c"]
    assert (site.calls, site.positions, site.output) == (2, 100 + 64, (10, 10))
    assert site.ineligible is None


def test_one_module_under_two_names_is_one_site():
    shared = conv()
    sites = analyze(lambda self, x: self.b(self.a(x)), a=shared, b=shared)
    assert list(sites) == ["a"]
    assert (sites["a"].calls, sites["a"].ineligible) == (2, None)


def test_classes_around_a_site():
    block = nn.Sequential(nn.Sequential(conv()))
    sites = analyze(lambda self, x: self.block(x), block=block)
    assert sites["block.0.0"].within == ("Model", "Sequential", "Sequential")


class Twin(nn.Conv2d):
    def forward(self, x):
        return super().forward(x)


class Renamed(nn.Conv2d):
    """Its forward is still that of Conv2d."""


class Padded(nn.Conv2d):
    def forward(self, x):
        return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1)), self.weight, self.bias)


class Gated(nn.Conv2d):
    """Has a parameter that is no filter."""

    def __init__(self, *numbers):
        super().__init__(*numbers)
        self.gate = nn.Parameter(torch.ones(()))


class Fixed(nn.Conv2d):
    """Its weight is a buffer."""

    def __init__(self, *numbers):
        super().__init__(*numbers)
        weight = self.weight.detach()
        del self.weight
        self.register_buffer("weight", weight)


@pytest.mark.parametrize(
    ("module", "ineligible"),
    [
        (conv(), None),
        (conv(kernel=(1, 5), padding="same", padding_mode="reflect", dilation=2), None),
        (conv(groups=4), "depthwise"),
        (conv(groups=2), "grouped convolution"),
        (nn.ConvTranspose2d(4, 4, 2), "transposed convolution"),
        (conv(outputs=1), None),
        (Twin(4, 4, 3), "Twin, a Conv2d that overrides forward"),
        (Renamed(4, 4, 3), None),
        (Padded(4, 4, 3), "Padded, a Conv2d that overrides forward"),
        (Gated(4, 4, 3), "Gated, a Conv2d"),
        (Fixed(4, 4, 3), "Fixed, a Conv2d"),
        (nn.utils.parametrizations.weight_norm(conv()), "parametrized"),
        (nn.utils.parametrizations.spectral_norm(conv()), "parametrized"),
    ],
)
def test_kinds_of_convolutions(module, ineligible):
    found = analyze(lambda self, x: self.c(x), c=module)["c"]
    assert (found.ineligible or "").startswith(ineligible or "")
    assert (found.ineligible is None) == (ineligible is None)
    assert found.calls == 1


@pytest.mark.parametrize(
    ("module", "dimensions"), [(nn.Conv1d(4, 4, 3), 1), (nn.Conv3d(4, 4, 1), 3)]
)
def test_other_dimensions(module, dimensions):
    example = torch.zeros(1, 4, *[8] * dimensions)
    site = analyze(lambda self, x: self.c(x), example, c=module)["c"]
    assert site.ineligible == f"{dimensions}-D convolution"
    assert len(site.output) == dimensions


def test_subclasses_have_output_and_positions():
    site = analyze(lambda self, x: self.c(x), c=Padded(4, 8, 3))["c"]
    assert (site.type, site.output, site.positions) == ("Padded", (12, 12), 144)


class Upsampling(nn.ConvTranspose2d):
    """A transposed convolution whose name does not say so."""


class Transpose(nn.Conv2d):
    """A convolution whose name says transposed."""


@pytest.mark.parametrize(
    ("module", "positions"), [(Upsampling(4, 6, 2, stride=2), 144), (Transpose(4, 6, 3), 100)]
)
def test_transposed_convolutions_are_counted_by_their_input(module, positions):
    assert analyze(lambda self, x: self.c(x), c=module)["c"].positions == positions


def test_a_weight_that_is_read_elsewhere():
    sites = analyze(lambda self, x: self.c(x) * self.c.weight.sum(), c=conv())
    assert sites["c"].ineligible == "its weight is read outside its own call"


def test_a_forward_that_is_called_by_hand():
    sites = analyze(lambda self, x: self.c.forward(x), c=conv())
    assert sites["c"].ineligible == "its weight is read outside its own call"
    assert sites["conv2d"].output == (10, 10)


def test_a_weight_that_is_used_by_a_function():
    sites = analyze(lambda self, x: nn.functional.conv2d(self.c(x), self.c.weight), c=conv())
    assert sites["c"].ineligible == "its weight is read outside its own call"
    assert sites["conv2d"].ineligible == "called as a function, not as a module"
    assert sites["conv2d"].geometry.kernel_size == (3, 3)
    assert sites["conv2d"].output == (8, 8)


def test_geometry_numbers_may_be_read():
    sites = analyze(lambda self, x: self.c(x) * self.c.kernel_size[0], c=conv())
    assert sites["c"].ineligible is None


def test_tied_weights():
    first, second = conv(), conv()
    second.weight = first.weight
    sites = analyze(lambda self, x: self.b(self.a(x)), a=first, b=second)
    assert {site.ineligible for site in sites.values()} == {"shares its weight with another module"}


@pytest.mark.parametrize(
    "hook",
    [
        lambda c: c.register_forward_hook(lambda *_: None),
        lambda c: c.register_forward_pre_hook(lambda *_: None),
        lambda c: c.register_full_backward_hook(lambda *_: None),
        lambda c: c.register_full_backward_pre_hook(lambda *_: None),
        lambda c: c.weight.register_hook(lambda gradient: None),
        lambda c: prune.l1_unstructured(c, "weight", 0.5),
        lambda c: weight_norm(c),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_hooks(hook):
    module = conv()
    hook(module)
    assert "hooks" in analyze(lambda self, x: self.c(x), c=module)["c"].ineligible


@pytest.mark.parametrize("method", ["forward", "_conv_forward"])
def test_a_patched_forward(method):
    module = conv()
    setattr(module, method, getattr(module, method))
    assert analyze(lambda self, x: self.c(x), c=module)["c"].ineligible == "its forward is patched"


def test_a_weight_that_training_reads():
    def forward(self, x):
        return (self.c(x), self.c.weight.norm()) if self.training else self.c(x)

    assert "read outside" in analyze(forward, c=conv())["c"].ineligible


def test_a_weight_that_is_read_in_untraceable_code():
    def forward(self, x):
        return self.c(x) + (self.c.weight.sum() if x.sum() >= 0 else 0)

    assert "read outside" in analyze(forward, c=conv())["c"].ineligible


@pytest.mark.parametrize(
    "read",
    [
        lambda weight: torch.cat([weight, weight]).sum(),
        lambda weight: torch.stack(tensors=(weight,)).sum(),
        lambda weight: torch._foreach_norm([weight])[0],
    ],
)
def test_a_weight_that_is_read_from_a_list(read):
    def forward(self, x):
        return self.c(x) + (read(self.c.weight) if x.sum() >= 0 else 0)

    assert "read outside" in analyze(forward, c=conv())["c"].ineligible


def test_a_weights_type_may_be_read():
    def forward(self, x):
        return self.c(x.to(next(self.c.parameters()).dtype)) if x.sum() >= 0 else x

    assert analyze(forward, c=conv())["c"].ineligible is None


def test_a_convolution_made_in_the_forward():
    sites = analyze(lambda self, x: nn.Conv2d(4, 6, 3)(self.c(x)), c=conv())
    assert sites["conv2d"].ineligible == "called as a function, not as a module"
    assert sites["conv2d"].output == (8, 8)


def test_functions_with_different_weights_are_told_apart():
    one, two = torch.ones(4, 4, 1, 1), torch.ones(5, 4, 1, 1)

    def forward(self, x):
        return nn.functional.conv2d(nn.functional.conv2d(x, one.to(x)), two.to(x))

    sites = analyze(forward, c=conv())
    outputs = {n: s.geometry.out_channels for n, s in sites.items() if s.functional}
    assert outputs == {"conv2d": 4, "conv2d_1": 5}


def test_functions_never_take_a_modules_name():
    def forward(self, x):
        return nn.functional.conv2d(self.conv2d(x), torch.ones(4, 4, 1, 1))

    sites = analyze(forward, conv2d=conv())
    assert (sites["conv2d"].calls, sites["conv2d"].ineligible) == (1, None)
    assert sites["conv2d_1"].functional


def test_the_model_is_a_convolution():
    (site,) = ghostify.analyze(conv(), torch.zeros(1, 4, 8, 8))
    assert site.ineligible == "the model is this convolution itself"


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_scripted_parts():
    script = torch.jit.script(nn.Sequential(conv()))
    sites = analyze(lambda self, x: self.c(self.script(x)), c=conv(), script=script)
    assert sites["script.0"].ineligible == "scripted by torch.jit"
    assert (sites["c"].output, sites["c"].ineligible) == ((8, 8), None)


def test_other_convolutions_are_listed():
    deformable = ops.DeformConv2d(4, 6, 3)

    def forward(self, x):
        return self.d(self.c(x), torch.zeros(1, 18, 8, 8))

    sites = analyze(forward, c=conv(), d=deformable)
    assert sites["d"].ineligible == "DeformConv2d, which is not a Conv2d"
    assert sites["d"].output == (8, 8)


class LookAlike(nn.Module):
    """A convolution that is none of torch's, with its arguments as attributes."""

    def __init__(self, function, weight, padding):
        super().__init__()
        self.function, self.weight = function, nn.Parameter(weight)
        self.out_channels, self.in_channels, self.kernel_size = weight.shape[:3]
        self.stride = self.dilation = self.groups = 1
        self.padding = padding

    def forward(self, x):
        return self.function(x, self.weight, padding=self.padding or 0)


@pytest.mark.parametrize(
    ("function", "dimensions"),
    [(nn.functional.conv1d, 1), (nn.functional.conv2d, 2), (nn.functional.conv3d, 3)],
)
def test_look_alikes_of_any_dimensions(function, dimensions):
    module = LookAlike(function, torch.zeros(6, 4, *[3] * dimensions), padding=1)
    example = torch.zeros(1, 4, *[8] * dimensions)
    site = analyze(lambda self, x: self.c(x), example, c=module)["c"]
    assert site.ineligible == "LookAlike, which is not a Conv2d"
    assert (site.geometry.kernel_size, site.output) == ((3,) * dimensions, (8,) * dimensions)


@pytest.mark.parametrize("padding", [None, (None, None), 1.5])
def test_a_module_without_the_attributes_is_no_convolution(padding):
    module = LookAlike(
        lambda x, weight, padding: nn.functional.conv2d(x, weight), torch.zeros(6, 4, 3, 3), padding
    )
    assert list(analyze(lambda self, x: self.c(x), c=module)) == ["c.conv2d"]


def test_a_shared_module_is_found_under_its_first_name():
    shared = nn.Sequential(conv(padding=1))

    def forward(self, x):
        return self.holder[0](self.first(x)) if x.sum() >= 0 else x

    sites = analyze(forward, first=shared, holder=nn.ModuleList([shared]))
    assert [(s.name, s.calls, s.seen) for s in sites.values()] == [("first.0", 2, "graph")]


def test_modules_inside_an_untraceable_module_are_traced():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(conv(padding=1), nn.ReLU())

        def forward(self, x):
            for _ in range(int(x.abs().sum()) + 2):
                x = self.block(x)
            return x

    sites = analyze(lambda self, x: self.last(self.loop(x)), loop=Loop(), last=conv())
    assert {name: (site.calls, site.seen) for name, site in sites.items()} == {
        "loop.block.0": (2, "graph"), "last": (1, "graph"),
    }  # fmt: skip


def test_a_convolution_that_never_runs():
    site = analyze(lambda self, x: self.a(x), a=conv(), unused=conv())["unused"]
    assert (site.ineligible, site.output) == ("never called on this input", None)
    assert (site.calls, site.positions) == (0, 0)


def test_a_branch_for_training_only():
    def forward(self, x):
        return self.a(x) if not self.training else self.b(x)

    assert analyze(forward, a=conv(), b=conv())["b"].ineligible == "called in training mode only"


def test_a_convolution_inside_a_ghost_module():
    sites = analyze(lambda self, x: self.g(x), g=GhostModule(4, 8, 3))
    assert sites["g.primary_conv.0"].ineligible == "part of a Ghost module"


def test_functions_with_weights_of_their_own():
    def forward(self, x):
        return nn.functional.conv_transpose2d(x, self.p, stride=2, groups=2)

    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = nn.Parameter(torch.zeros(4, 3, 2, 2))

    Holder.forward = forward
    (site,) = ghostify.analyze(Holder(), torch.zeros(1, 4, 5, 5))
    assert (site.type, site.functional) == ("conv_transpose2d", True)
    assert (site.geometry.in_channels, site.geometry.out_channels) == (4, 6)
    assert (site.output, site.positions) == ((10, 10), 25)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = conv(), conv()

    def forward(self, x, y, scale=None, *, twice=False):
        out = self.a(x) + self.b(y)
        if scale is not None:
            out = out * scale
        return self.b(out) if twice else out


@pytest.mark.parametrize(
    ("example", "calls_of_b"),
    [
        ((torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8)), 1),
        ({"y": torch.zeros(1, 4, 8, 8), "x": torch.zeros(1, 4, 8, 8)}, 1),
        ({"x": torch.zeros(1, 4, 8, 8), "y": torch.zeros(1, 4, 8, 8), "twice": True}, 2),
        ((torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), torch.ones(1)), 1),
    ],
)
def test_inputs_of_all_kinds(example, calls_of_b):
    sites = {site.name: site for site in ghostify.analyze(TwoInputs(), example)}
    assert (sites["a"].calls, sites["b"].calls) == (1, calls_of_b)


def test_a_hook_may_add_arguments():
    def twice(module, args, kwargs):
        return (*args, args[0]), kwargs | {"twice": True}

    model = TwoInputs()
    model.register_forward_pre_hook(twice, with_kwargs=True)
    sites = {site.name: site for site in ghostify.analyze(model, torch.zeros(1, 4, 8, 8))}
    assert (sites["a"].calls, sites["b"].calls) == (1, 2)


def test_tensors_made_in_the_forward():
    def forward(self, x):
        grid = torch.arange(x.shape[-1], dtype=x.dtype) + torch.ones(1)
        return self.c(x + grid)

    assert analyze(forward, c=conv())["c"].output == (10, 10)


def test_the_model_does_not_change(small_net, image):
    small_net.train()
    small_net.norm.eval()
    before = {name: value.clone() for name, value in small_net.state_dict().items()}
    flags = [module.training for module in small_net.modules()]
    attributes = set(vars(small_net))
    random = torch.get_rng_state()
    ghostify.analyze(small_net, image)
    assert all(torch.equal(before[name], value) for name, value in small_net.state_dict().items())
    assert [module.training for module in small_net.modules()] == flags
    assert set(vars(small_net)) == attributes
    assert torch.equal(torch.get_rng_state(), random)


def test_the_wrong_input_names_the_layer(small_net):
    with pytest.raises(GhostifyError, match=r"SmallNet does not run on .* 1x4x16x16: at stem"):
        ghostify.analyze(small_net, torch.zeros(1, 4, 16, 16))


def test_the_wrong_number_of_inputs(small_net, image):
    with pytest.raises(GhostifyError, match="at its own forward: .* takes 2 positional arguments"):
        ghostify.analyze(small_net, (image, image))


def test_control_flow_on_values_is_run():
    def forward(self, x):
        return self.inside(self.c(x)) if x.sum() >= 0 else self.other(x)

    inside = nn.Sequential(conv(), nn.ReLU())
    sites = analyze(forward, c=conv(), inside=inside, other=conv())
    assert {name: site.seen for name, site in sites.items()} == {
        "c": "run", "inside.0": "graph", "other": None,
    }  # fmt: skip
    assert sites["inside.0"].output == (8, 8)
    assert sites["other"].ineligible == "never called on this input"


def test_a_model_that_cannot_be_copied(small_net, image):
    small_net.generator = (i for i in range(3))
    with pytest.raises(GhostifyError, match="SmallNet cannot be copied"):
        ghostify.analyze(small_net, image)
