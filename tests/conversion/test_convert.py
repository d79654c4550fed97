import copy
import pickle
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

import ghostify
from ghostify import GhostifyError, GhostModule, GhostSpec, Plan
from ghostify.data import open_calibration
from ghostify.data.open_data import source_of
from ghostify.planning import plan_sites
from ghostify.planning.plan import CANDIDATES
from ghostify.types import (
    Decision,
    Fidelity,
    LayerLatencies,
    Recovery,
    RecoverySettings,
    SeenImages,
)
from ghostify.types.errors import GhostifyWarning


@pytest.fixture
def plan(small_net, image):
    return plan_sites(ghostify.analyze(small_net, image))


def test_the_short_way_is_the_uniform_plan(small_net, image, plan):
    torch.manual_seed(1)
    short = ghostify.convert(small_net, image)
    torch.manual_seed(1)
    planned = ghostify.convert(small_net, image, plan=plan)
    assert Plan.of(short) == Plan.of(planned) == plan
    assert torch.equal(short(image), planned(image))


def test_the_result_is_the_users_class_with_ghosts_in_it(small_net, plan):
    ghost = ghostify.convert(small_net, plan=plan)
    assert type(ghost) is type(small_net)
    found = {n: m for n, m in ghost.named_modules() if isinstance(m, GhostModule)}
    assert set(found) == set(plan.replaced) == {"wide", "project"}
    assert all((m.ratio, m.dw_size) == (2, 3) for m in found.values())


def test_the_original_is_untouched(small_net, image, plan):
    before = copy.deepcopy(small_net.state_dict())
    ghost = ghostify.convert(small_net, plan=plan)
    ghost(image).sum().backward()
    with torch.no_grad():
        for parameter in ghost.parameters():
            parameter.add_(1)
    after = small_net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(parameter.grad is None for parameter in small_net.parameters())


def test_what_is_not_replaced_keeps_name_and_bits(small_net, plan):
    ghost = ghostify.convert(small_net, plan=plan).state_dict()
    for name, value in small_net.state_dict().items():
        if name.rpartition(".")[0] in plan.replaced:
            assert name not in ghost
        else:
            assert torch.equal(ghost[name], value)


def test_it_trains(small_net, plan):
    ghost = ghostify.convert(small_net, plan=plan).train()
    optimizer = torch.optim.SGD(ghost.parameters(), lr=0.2)
    images, labels = torch.randn(16, 3, 16, 16), torch.arange(16) % 10
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(ghost(images), labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in ghost.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_it_copies_and_pickles(small_net, image, plan):
    ghost = ghostify.convert(small_net, plan=plan).eval()
    for twin in (copy.deepcopy(ghost), pickle.loads(pickle.dumps(ghost))):
        assert torch.equal(twin(image), ghost(image))
        assert Plan.of(twin) == plan


def test_flags_and_types_are_kept(small_net, image):
    small_net.double().eval()
    small_net.norm.train()
    ghost = ghostify.convert(small_net, image.double())
    assert ghost(image.double()).dtype == torch.double
    flags = {name: module.training for name, module in small_net.named_modules()}
    for name, module in ghost.named_modules():
        assert module.training == flags.get(name, False)


def test_a_module_under_two_names_stays_one():
    shared = nn.Conv2d(8, 8, 3, padding=1)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), shared, shared)
    ghost = ghostify.convert(model, torch.zeros(1, 3, 8, 8))
    assert isinstance(ghost[1], GhostModule)
    assert ghost[1] is ghost[2]


def test_hooks_and_attributes_of_the_rest_survive(small_net, image, plan):
    calls = []
    small_net.head.register_forward_hook(lambda *_: calls.append(1))
    small_net.note = {"by": "me"}
    ghost = ghostify.convert(small_net, plan=plan)
    ghost(image)
    assert calls == [1]
    assert ghost.note == {"by": "me"}


def test_on_the_meta_device(image):
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3))
    ghost = ghostify.convert(model, image)
    assert ghost[1].primary_conv[0].weight.device.type == "meta"


def with_site(plan, site, **changes):
    decisions = tuple(
        replace(d, site=replace(d.site, **changes)) if d.site.name == site else d
        for d in plan.decisions
    )
    return Plan(decisions)


def test_a_plan_that_names_a_missing_layer(small_net, plan):
    with pytest.raises(GhostifyError, match="names wid, which the model lacks; did you mean wide"):
        ghostify.convert(small_net, plan=with_site(plan, "wide", name="wid"))


def test_a_kept_layer_must_exist_too(small_net, plan):
    with pytest.raises(GhostifyError, match="names sten, which the model lacks"):
        ghostify.convert(small_net, plan=with_site(plan, "stem", name="sten"))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("out_channels", 64, "3x3, 16→64, /2 there, 3x3, 16→32, /2 here"),
        ("stride", (1, 1), "3x3, 16→32 there, 3x3, 16→32, /2 here"),
        ("padding", (2, 2), r"\(padding \(2, 2\) there, \(1, 1\) here\)"),
        ("bias", True, r"\(bias True there, False here\)"),
        ("dilation", (1,), r"\(dilation \(1,\) there, \(1, 1\) here\)"),
    ],
)
def test_a_plan_for_other_geometry(small_net, plan, field, value, said):
    site = next(d.site for d in plan.decisions if d.site.name == "wide")
    other = with_site(plan, "wide", geometry=replace(site.geometry, **{field: value}))
    with pytest.raises(GhostifyError, match=f"made for another wide: .*{said}"):
        ghostify.convert(small_net, plan=other)


def test_a_plan_for_another_kind_of_layer(small_net, plan):
    small_net.wide = nn.ConvTranspose2d(16, 32, 3)
    with pytest.raises(GhostifyError, match="wide, which cannot be replaced: transposed"):
        ghostify.convert(small_net, plan=plan)


def test_the_whole_plan_is_checked_before_anything_is_made(small_net, plan, monkeypatch):
    monkeypatch.setattr("ghostify.conversion.swap.first_filters", None)
    with pytest.raises(GhostifyError, match="projec, which the model lacks"):
        ghostify.convert(small_net, plan=with_site(plan, "project", name="projec"))


def test_nothing_to_replace_is_an_error(image):
    model = nn.Sequential(nn.Conv2d(3, 8, 3))
    with pytest.raises(GhostifyError, match=r"nothing to replace in Sequential: .*\(stem\)"):
        ghostify.convert(model, image)
    with pytest.raises(GhostifyError, match="no convolution"):
        ghostify.convert(nn.Sequential(nn.Flatten(), nn.Linear(768, 2)), image)


def test_a_plan_and_numbers_exclude_each_other(small_net, image, plan):
    with pytest.raises(GhostifyError, match="`plan` already decides prune: pass one"):
        ghostify.convert(small_net, image, plan=plan, prune=False)
    with pytest.raises(GhostifyError, match="`plan` already decides ratio, stem: pass one"):
        ghostify.convert(small_net, image, plan=plan, ratio=2, stem=True)


def test_neither_plan_nor_example(small_net):
    with pytest.raises(GhostifyError, match="convert needs `example`"):
        ghostify.convert(small_net)


def test_a_mixed_plan(small_net, plan):
    decisions = tuple(
        Decision(d.site, ghost=GhostSpec(1.5, 1)) if d.site.name == "wide" else d
        for d in plan.decisions
    )
    ghost = ghostify.convert(small_net, plan=Plan(decisions))
    assert ghost.wide.primary_conv[0].out_channels == 22
    assert ghost.project.primary_conv[0].out_channels == 16


def test_the_first_filters_are_kept(small_net, plan):
    ghost = ghostify.convert(small_net, plan=plan)
    assert torch.equal(ghost.wide.primary_conv[0].weight, small_net.wide.weight[:16])
    assert torch.equal(ghost.project.primary_conv[0].bias, small_net.project.bias[:16])


@pytest.mark.parametrize("frozen", ["", "wide", "project"])
def test_a_ghost_module_of_a_frozen_layer_is_frozen(small_net, plan, frozen):
    small_net.get_submodule(frozen).requires_grad_(False)
    ghost = ghostify.convert(small_net, plan=plan)
    for name, parameter in ghost.named_parameters():
        assert parameter.requires_grad != name.startswith(frozen)


def test_a_frozen_network_gives_arrays_after_its_conversion(small_net, image):
    small_net.requires_grad_(False)
    assert ghostify.convert(small_net, image)(image).numpy().shape == (1, 10)


def test_a_bias_may_be_frozen_alone(small_net, plan):
    small_net.project.bias.requires_grad_(False)
    halves = ghostify.convert(small_net, plan=plan).project
    for half in (halves.primary_conv[0], halves.cheap_operation[0]):
        assert (half.weight.requires_grad, half.bias.requires_grad) == (True, False)


@pytest.mark.parametrize("frozen", [True, False])
def test_biases_that_a_fit_adds_are_frozen_with_their_layer(frozen):
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, bias=False), nn.ReLU())
    net[2].requires_grad_(not frozen)
    x = torch.rand(4, 3, 8, 8)
    ghost = ghostify.convert(net, x, calibration=x)[2]
    assert len(list(ghost.parameters())) == 4
    assert all(parameter.requires_grad != frozen for parameter in ghost.parameters())


def test_a_model_that_was_converted_in_part_before(small_net, image, tmp_path):
    first = ghostify.convert(
        small_net,
        plan=plan_sites(ghostify.analyze(small_net, image), include="wide", ratio=4),
    )
    both = ghostify.convert(first, image)
    assert {n: g.ratio for n, g in Plan.of(both).replaced.items()} == {"wide": 4, "project": 2}
    assert [d.site.name for d in Plan.of(both).decisions] == [
        "stem",
        "wide",
        "depthwise",
        "project",
    ]
    loaded = ghostify.load(ghostify.save(both.eval(), tmp_path / "out"), small_net).eval()
    assert torch.equal(loaded(image), both(image))
    assert len(ghostify.compare(small_net, both, image).replaced) == 2


def test_records_of_an_earlier_conversion_are_not_those_of_the_next(small_net, image):
    SeenImages.of(["0" * 16]).attach(small_net)
    first = ghostify.convert(small_net, image, include="wide", init="weights")
    assert SeenImages.find(first) is not None
    Recovery(RecoverySettings(), steps=3, images=96, seconds=1.0, ended="epochs").attach(first)
    both = ghostify.convert(first, image, include="project", init="random")
    assert Recovery.find(both) is None
    assert Recovery.find(first) is not None
    assert Fidelity.find(both).init == "random"
    unfitted = ghostify.convert(first, plan=plan_sites(ghostify.analyze(first, image)))
    assert Fidelity.find(unfitted) is None


def test_hooks_that_came_after_the_plan(small_net, plan):
    small_net.wide.register_forward_hook(lambda *_: None)
    with pytest.raises(GhostifyError, match="wide, which cannot be replaced: has hooks"):
        ghostify.convert(small_net, plan=plan)


def test_old_style_weight_norm_is_kept_and_copied():
    with pytest.warns(FutureWarning, match="weight_norm"):
        normed = nn.utils.weight_norm(nn.Conv2d(8, 8, 3))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), normed, nn.Conv2d(8, 8, 3)).eval()
    x = torch.rand(1, 3, 9, 9)
    ghost = ghostify.convert(model, x)
    assert set(Plan.of(ghost).replaced) == {"2"}
    assert torch.equal(ghost[:2](x), model[:2](x))


def test_a_subclass_keeps_its_padding(image):
    layers = pytest.importorskip("timm").layers
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), layers.Conv2dSame(8, 16, 3, stride=2, bias=False)
    )
    ghost = ghostify.convert(model, image)
    assert isinstance(ghost[1].primary_conv[0], layers.Conv2dSame)
    assert ghost(image).shape == model(image).shape
    assert torch.equal(ghost(image)[:, :8], model(image)[:, :8])


def test_reasons_of_times_are_abridged():
    model = torch.nn.Sequential(*(torch.nn.Conv2d(3, 3, 1) for _ in range(5)))
    sites = ghostify.analyze(model, torch.zeros(1, 3, 8, 8))
    plan = Plan(
        tuple(Decision(s, keep=f"not faster in eager: {n} ms") for n, s in enumerate(sites))
    )
    said = r"not faster in eager: 0 ms; not faster in eager: 1 ms; 3 more\); try another `runtime`"
    with pytest.raises(GhostifyError, match=said):
        ghostify.convert(model, plan=plan)
    three = tuple(Decision(site, keep=why) for site, why in zip(sites, "abc", strict=False))
    with pytest.raises(GhostifyError, match=r"every convolution is kept \(a; b; c\)$"):
        ghostify.convert(model, plan=Plan(three))


def test_images_may_be_the_name_of_a_source(small_net, image, tmp_path):
    images = torch.randn(20, *image.shape[1:])
    torch.save(images, tmp_path / "images.pt")
    source, training = (
        tmp_path / "images.pt",
        open_calibration(tmp_path / "images.pt", small_net, source_of(image)).batches,
    )
    named = ghostify.convert(small_net, image, calibration=source)
    given = ghostify.convert(small_net, image, calibration=training)
    assert all(map(torch.equal, named.state_dict().values(), given.state_dict().values()))
    measured = (ghostify.sensitivity(small_net, image, calibration=c) for c in (source, training))
    assert next(measured) == next(measured)
    report = ghostify.compare(small_net, given, image, data=str(source))
    assert report.fidelity.score.images == 20  # all, since a file has no validation split
    options = {"budget": "macs=0.9", "calibration": source}
    assert ghostify.search(small_net, image, **options).changed


class HardCoded(nn.Module):
    """Its forward has the number of channels of its first convolution in it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.second = nn.Conv2d(32, 32, 3, padding=1)
        self.third = nn.Conv2d(32, 32, 3, padding=1)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        x = self.first(x).relu()
        assert x.shape[1] == 32
        x = self.third(self.second(x).relu()).relu()
        return self.head(x.mean((2, 3)))


def test_layers_that_cannot_lose_channels_leave_the_budget_to_others():
    model, image = HardCoded().eval(), torch.randn(1, 3, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", GhostifyWarning)
        ghost = ghostify.convert(model, image, budget="macs=0.5", init="random")
    assert "first" not in Plan.of(ghost).widths
    report = ghostify.compare(model, ghost, image)
    assert report.after.conv_and_linear_macs <= 0.5 * report.before.conv_and_linear_macs


def test_what_is_put_back_is_said():
    model, image = HardCoded().eval(), torch.randn(1, 3, 8, 8)
    plan = ghostify.plan(model, image, budget="macs=0.5")
    assert "first" in plan.widths
    with pytest.warns(GhostifyWarning, match="does not run with the plan for first"):
        ghostify.convert(model, image, plan=plan, init="random")


def test_times_are_not_forgotten_to_plan_around_what_is_put_back(monkeypatch):
    model, image = HardCoded().eval(), torch.randn(1, 3, 8, 8)
    asked = []

    def timed(model, example, **options):
        asked.append(options["runtime"])
        specs = {None: 1.0} | dict.fromkeys(CANDIDATES, 0.4)
        times = dict.fromkeys(("first", "second", "third"), specs)
        stem = {(3, 32): 1.0, (3, 16): 0.5}
        other = {(i, o): i * o / 1024 for i in (16, 32) for o in (16, 32)}
        narrowed = dict(zip(times, (stem, other, other), strict=True))
        return LayerLatencies("eager", 1, 3.0, times, narrowed)

    monkeypatch.setattr("ghostify.conversion.plan.layer_latency", timed)
    with pytest.warns(GhostifyWarning, match="for first, which stay as they were; the budget is"):
        ghostify.convert(model, image, budget="latency=0.4", runtime="eager", init="random")
    assert asked == ["eager"]


class Typed(HardCoded):
    def forward(self, x):
        assert isinstance(self.second, nn.Conv2d)
        return super().forward(x)


def test_a_budget_that_is_missed_by_what_is_put_back_is_said():
    with pytest.warns(GhostifyWarning, match="for second, .*; the budget is not met without them"):
        ghostify.convert(
            Typed().eval(), torch.randn(1, 3, 8, 8), budget="macs=0.4", prune=False, init="random"
        )


def test_without_verification_nothing_is_put_back(recwarn):
    model, image = HardCoded().eval(), torch.randn(1, 3, 8, 8)
    plan = ghostify.plan(model, image, budget="macs=0.5")
    ghost = ghostify.convert(model, image, plan=plan, init="random", verify=False)
    assert Plan.of(ghost).widths == plan.widths
    assert not recwarn.list
    with pytest.raises(AssertionError):
        ghost(image)


class Branches(nn.Module):
    """Two branches, merged in place."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.wide(x) + (self.narrow(x) if self.narrow else 0))

    def reparameterize(self):
        self.wide.weight.data += nn.functional.pad(self.narrow.weight.data, [1, 1, 1, 1])
        self.wide.bias.data += self.narrow.bias.data
        self.narrow = None


def branched():
    stem = nn.Conv2d(3, 8, 3, padding=1)
    return nn.Sequential(stem, Branches(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(128, 3))


def test_branches_that_could_be_merged_are_said_before_they_are_converted(as_trained):
    net, x = as_trained(branched()).eval(), torch.rand(2, 3, 6, 6)
    with pytest.warns(GhostifyWarning, match="^Sequential has parallel branches, .* of 1 of"):
        ghostify.convert(net, x, all_eligible=True, include="1.narrow")
    merged = ghostify.reparameterize(net, x)
    for quiet in (merged, ghostify.convert(merged, x, include="1.wide")):
        ghostify.convert(quiet, x, include="2")
    ghostify.convert(net, x, include="2")
    assert set(Plan.of(ghostify.convert(merged, x)).replaced) == {"1.wide", "2"}
