"""Networks fitted to calibration images."""

import copy
import random
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostModule
from ghostify.analysis.dataflow import trace_dataflow
from ghostify.analysis.model_copy import frozen_copy
from ghostify.conversion.init.fisher import fisher_importance, relative_importance
from ghostify.planning import plan_sites
from ghostify.types import Fidelity, Outputs

from ...conftest import SmallNet


def smooth_images(number, side=16):
    """Random walks: neighboring pixels are similar, as in photographs."""
    return torch.randn(number, 3, side, side).cumsum(2).cumsum(3) / 8


def trained(model, *inputs, **named):
    """``model`` in evaluation mode, with BatchNorm statistics of the inputs."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    with torch.no_grad():
        for _ in range(20):
            model.train()(*inputs, **named)
    return model.eval()


class Residual(nn.Module):
    def __init__(self, width, normed):
        super().__init__()
        self.wide = nn.Conv2d(width, width + 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(width + 3) if normed else nn.Identity()
        self.back = nn.Conv2d(width + 3, width, 1)

    def forward(self, x):
        return x + self.back(self.norm(self.wide(x)).relu())


def random_network(seed):
    torch.manual_seed(seed)
    draw = random.Random(seed)
    normed = draw.random() < 0.7
    widths = [draw.randint(8, 20) for _ in range(draw.randint(2, 4))]
    layers = []
    for inputs, outputs in zip([3, *widths], widths, strict=False):
        side = draw.choice([1, 3])
        stride, padding = (draw.choice([1, 2]), draw.choice([0, side // 2])) if layers else (1, 0)
        layers += [
            nn.Conv2d(inputs, outputs, side, stride, padding, bias=draw.random() < 0.5),
            nn.BatchNorm2d(outputs) if normed else nn.Identity(),
            draw.choice([nn.ReLU(), nn.SiLU()]),
        ]
        if draw.random() < 0.3:
            layers.append(Residual(outputs, normed))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10))


@torch.no_grad()
def outputs_of(model, names, images, moved):
    """Outputs of layers with the constants that BatchNorms add, and other terms of sums."""
    seen, others, handles = {}, {}, []
    for name in names:

        def keep(_, __, output, name=name):
            seen[name] = output if name not in moved else output + moved[name].view(-1, 1, 1)

        handles.append(model.get_submodule(name).register_forward_hook(keep))
        if name.endswith(".back"):

            def keep_other(_, args, name=name):
                others[name] = args[0]

            block = model.get_submodule(name.removesuffix(".back"))
            handles.append(block.register_forward_pre_hook(keep_other))
    model(images)
    for handle in handles:
        handle.remove()
    return seen, others


def errors_by_hand(model, converted, images, names, outputs):
    """By site, the weighted error over all positions, and the weighted variance of the targets.

    The target of the last term of a sum makes the sum right.
    """
    norms = trace_dataflow(model, images[:1]).following_norms()
    moved = {
        site: model.get_submodule(norm).running_mean - converted.get_submodule(norm).running_mean
        for site, norm in norms.items()
    }
    counts = fisher_importance(frozen_copy(model), [images], names, outputs)
    given, others = outputs_of(model, names, images, {})
    found, others_found = outputs_of(converted, names, images, moved)
    errors = {}
    for name in names:
        count = relative_importance(counts[name]).view(-1, 1, 1)
        aim = given[name]
        if name in others:
            aim = aim + others[name] - others_found[name]
        centered = aim - aim.mean((0, 2, 3), keepdim=True)
        wrong = (count * (aim - found[name]).square()).sum()
        errors[name] = float(wrong), float((count * centered.square()).sum())
    return errors


@settings(max_examples=12)
@given(
    st.integers(0, 10**4),
    st.sampled_from([2, 3, 4]),
    st.sampled_from([1, 3]),
    st.sampled_from([0, 5]),
)
def test_no_site_is_worse_than_from_the_filters_alone(seed, ratio, dw_size, finetune_steps):
    """Residuals are those of the converted network, since all positions are used."""
    model = random_network(seed)
    images = smooth_images(9)
    trained(model, images)
    numbers = {"ratio": ratio, "dw_size": dw_size, "calibration": images}
    plain = ghostify.convert(model, images[:1], init="weights", **numbers)
    fitted = ghostify.convert(model, images[:1], finetune_steps=finetune_steps, **numbers)
    residuals, outputs = Fidelity.find(fitted).residuals, Outputs.find(fitted)
    before = errors_by_hand(model, plain, images, list(residuals), outputs)
    after = errors_by_hand(model, fitted, images, list(residuals), outputs)
    shares = {name: wrong / spread for name, (wrong, spread) in after.items()}
    assert residuals == pytest.approx(shares, rel=0.01, abs=1e-4)
    assert all(after[name][0] <= before[name][0] * 1.001 for name in residuals)
    with torch.no_grad():
        expected = model(images)
        assert (fitted(images) - expected).norm() <= (plain(images) - expected).norm()


@pytest.fixture
def images():
    return smooth_images(20)


@pytest.fixture
def net(small_net, images):
    return trained(small_net, images)


def threads():
    return [t for t in threading.enumerate() if t is not threading.main_thread()]


def state_of(model):
    return (
        copy.deepcopy(model.state_dict()),
        [p.requires_grad for p in model.parameters()],
        [m.training for m in model.modules()],
        [list(m._forward_hooks) for m in model.modules()],
    )


def assert_same(first, second):
    assert first[1:] == second[1:]
    assert list(first[0]) == list(second[0])
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])


@pytest.mark.parametrize("init", ["random", "weights", "calibrated"])
def test_the_original_stays_unchanged(net, images, init):
    net.norm.train()
    net.head.weight.requires_grad_(False)
    before = state_of(net)
    converted = ghostify.convert(net, images[:1], init=init, calibration=images)
    assert_same(state_of(net), before)
    assert all(p.grad is None for p in [*net.parameters(), *converted.parameters()])
    assert [converted.norm.training, converted.stem.training] == [True, False]
    assert not converted.head.weight.requires_grad
    assert converted.stem.weight.requires_grad
    assert not {p.data_ptr() for p in net.parameters()} & {
        p.data_ptr() for p in converted.parameters()
    }


def test_the_same_data_gives_the_same_bits(net, images):
    torch.manual_seed(1)
    first = ghostify.convert(net, images[:1], calibration=images, finetune_steps=2)
    torch.manual_seed(2)
    second = ghostify.convert(net, images[:1], calibration=images.clone(), finetune_steps=2)
    assert_same(state_of(first), state_of(second))
    assert Fidelity.find(first) == Fidelity.find(second)


def test_a_deep_copy_trains(net, images):
    converted = copy.deepcopy(ghostify.convert(net, images[:1], calibration=images)).train()
    converted(images).square().sum().backward()
    assert all(p.grad is not None for p in converted.parameters())


def test_a_fifth_is_held_out_and_measured(net, images):
    converted = ghostify.convert(net, images[:1], calibration=images, outputs="classes")
    fidelity = Fidelity.find(converted)
    assert (fidelity.init, fidelity.images, fidelity.score.images) == ("calibrated", 16, 4)
    assert 0 <= fidelity.score.agreement <= 1
    assert list(fidelity.residuals) == ["wide", "project"]
    assert all(0 <= residual <= 1 for residual in fidelity.residuals.values())


def test_progress_names_each_layer(net, images):
    steps = []
    ghostify.convert(net, images[:1], calibration=images, progress=steps.append)
    names = ["the original's feature maps", "wide", "depthwise", "project", "head"]
    assert [step.detail.split(",")[0] for step in steps] == names
    assert all(0 <= step.done <= step.total for step in steps)
    assert steps[-1].done == steps[-1].total
    fitted = [step.detail.split(",")[0] for step in steps if "error" in step.detail]
    assert fitted == ["wide", "project"]


def test_layers_before_the_first_site_keep_their_bits(net, images):
    converted = ghostify.convert(net, images[:1], calibration=images)
    assert torch.equal(converted.stem.weight, net.stem.weight)
    assert not torch.equal(converted.head.weight, net.head.weight)


def test_an_interruption_leaves_no_trace(net, images):
    def interrupt(step):
        if step.detail.startswith("wide"):
            raise KeyboardInterrupt

    before, running = state_of(net), threads()
    with pytest.raises(KeyboardInterrupt):
        ghostify.convert(net, images[:1], calibration=images, progress=interrupt)
    assert_same(state_of(net), before)
    assert threads() == running


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
        self.both = nn.Conv2d(8, 16, 3)

    def forward(self, left, right):
        return self.both(self.left(left) + self.right(right).relu()).mean((2, 3))


@pytest.mark.parametrize("kind", [tuple, dict])
def test_several_inputs(kind, images):
    model = TwoInputs()
    pair = (images, images.flip(0))
    whole = pair if kind is tuple else dict(zip(("left", "right"), pair, strict=True))
    some = [
        tuple(t[i : i + 5] for t in pair)
        if kind is tuple
        else {name: t[i : i + 5] for name, t in whole.items()}
        for i in range(0, 20, 5)
    ]
    fidelity = Fidelity.find(ghostify.convert(model, some[0], ratio=2, calibration=some))
    assert fidelity.images == 16
    assert fidelity.score.relative_error < 1


class Pyramid(nn.Module):
    """A head that is called on three scales, twice on the first."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.scale = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, stride=2) for _ in range(2))
        self.head = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 6, 1))

    def forward(self, x):
        scales = [self.stem(x).relu()]
        for layer in self.scale:
            scales.append(layer(scales[-1]).relu())
        return [self.head(y) for y in (*scales, scales[0].flip(3))]


def test_a_head_that_is_called_on_several_scales(images):
    model = Pyramid()
    plain = ghostify.convert(model, images[:1], init="weights", calibration=images)
    fitted = ghostify.convert(model, images[:1], calibration=images)
    errors = [Fidelity.find(m).score.relative_error for m in (plain, fitted)]
    assert errors[1] < errors[0] < 1
    assert set(Fidelity.find(fitted).residuals) == {
        "scale.0", "scale.1", "head.0", "head.2",
    }  # fmt: skip


def test_a_network_without_norms_gets_biases(images):
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 16, 3, bias=False), nn.ReLU()
    )
    converted = ghostify.convert(model, images[:1], calibration=images)
    assert converted[2].primary_conv[0].bias is not None
    assert converted[2].cheap_operation[0].bias.any()


def test_a_layer_before_a_norm_gets_no_bias(net, images):
    converted = ghostify.convert(net, images[:1], calibration=images)
    assert converted.wide.primary_conv[0].bias is None
    assert converted.wide.cheap_operation[0].bias is None
    assert not torch.equal(converted.norm.running_mean, net.norm.running_mean)
    assert torch.equal(converted.norm.running_var, net.norm.running_var)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("normed", [True, False])
def test_dense_layers_keep_the_means_of_their_outputs(bias, normed):
    """By their bias or the norm behind them; without either they cannot."""
    images = smooth_images(9)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, groups=16, bias=bias),
        nn.BatchNorm2d(16) if normed else nn.ReLU(),
    )
    trained(net, images)
    converted = ghostify.convert(net, images[:1], ratio=4, calibration=images)
    moved = {"3": net[4].running_mean - converted[4].running_mean} if normed else {}
    given = outputs_of(net, ["3"], images, {})[0]["3"].mean((0, 2, 3))
    found = outputs_of(converted, ["3"], images, moved)[0]["3"].mean((0, 2, 3))
    assert torch.allclose(given, found, rtol=1e-3, atol=1e-4) == (bias or normed)


def finite(model, images):
    values = [*model.state_dict().values(), model(images)]
    return all(bool(value.isfinite().all()) for value in values)


@pytest.mark.parametrize("init", ["weights", "calibrated"])
@pytest.mark.parametrize("dw_size", [1, 3])
def test_dead_filters_and_constant_feature_maps(net, images, init, dw_size):
    with torch.no_grad():
        net.wide.weight[::3] = 0
        net.project.weight[:20] = 0
        net.depthwise.weight[5:] = 0
        net.depthwise.bias[5:] = 0.1
    kept = {"calibration": images, "init": init, "dw_size": dw_size}
    converted = ghostify.convert(net, images[:1], **kept)
    assert finite(converted, images)
    assert max(p.abs().max() for p in converted.parameters()) < 100
    assert Fidelity.find(converted).score.relative_error < 1


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_images_of_one_color(net, images, value):
    converted = ghostify.convert(net, images[:1], calibration=torch.full((2, 3, 16, 16), value))
    assert finite(converted, images)
    assert max(p.abs().max() for p in converted.parameters() if p.dim() > 1) < 100


def test_one_image(net, images):
    fidelity = Fidelity.find(ghostify.convert(net, images[:1], calibration=images[:1]))
    assert (fidelity.images, fidelity.score) == (1, None)


def test_few_positions_are_noted(net, images):
    model = nn.Sequential(net.stem, nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 32, 3, padding=1))
    converted = ghostify.convert(
        model, images[:1], plan=all_planned(model, images), calibration=images[:3]
    )
    assert finite(converted, images)
    assert any("2: 3 positions for filters of 144" in n for n in Fidelity.find(converted).notes)


def all_planned(model, images):
    return plan_sites(ghostify.analyze(model, images[:1]), all_eligible=True)


def test_an_untrained_network_is_noted(images):
    fidelity = Fidelity.find(ghostify.convert(SmallNet(), images[:1], calibration=images))
    assert any("appears to be randomly" in note for note in fidelity.notes)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_calibration_data_that_is_not_finite(net, images, value):
    images[3, 0, 0, 0] = value
    with pytest.raises(GhostifyError, match="NaN or infinite"):
        ghostify.convert(net, images[:1], calibration=images)


def test_feature_maps_that_are_not_finite(net, images):
    with torch.no_grad():
        net.stem.weight *= 1e38
    with pytest.raises(GhostifyError, match="stem of the original gives NaN or infinite values"):
        ghostify.convert(net, images[:1], calibration=images * 10)


def test_without_calibration_data():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    with pytest.raises(GhostifyError, match="needs calibration data"):
        ghostify.convert(model, torch.zeros(1, 3, 8, 8), init="calibrated")


@pytest.mark.parametrize("dtype", [torch.double, torch.bfloat16])
@pytest.mark.parametrize("init", ["weights", "calibrated"])
def test_other_dtypes(net, images, dtype, init):
    net, images = net.to(dtype), images.to(dtype)
    converted = ghostify.convert(net, images[:1], init=init, calibration=images, finetune_steps=2)
    assert {p.dtype for p in converted.parameters()} == {dtype}
    assert Fidelity.find(converted).score.relative_error < 0.5


def test_finetune_steps_help_or_change_nothing(net, images):
    residuals = [
        Fidelity.find(
            ghostify.convert(net, images[:1], calibration=images, finetune_steps=steps)
        ).residuals["wide"]
        for steps in (0, 20)
    ]
    assert residuals[1] < residuals[0]


def test_the_model_may_choose_the_input_of_a_layer(images):
    """As detectors choose regions: the original's outputs then belong to other inputs."""

    class Chooser(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.score = nn.Conv2d(8, 8, 3, padding=1)
            self.look = nn.Conv2d(8, 12, 3)

        def forward(self, x):
            y = self.stem(x).relu()
            left = self.score(y).mean() > 0
            return self.look(y[:, :, :, :8] if left else y[:, :, 8:])

    converted = ghostify.convert(Chooser(), images[:1], calibration=images)
    assert isinstance(converted.look, GhostModule)
    assert finite(converted, images)
