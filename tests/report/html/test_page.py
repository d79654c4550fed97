"""The page as a file."""

import html
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest
import typer

import ghostify
from ghostify import GhostifyError, GhostSpec, Plan
from ghostify.cli.app import app
from ghostify.io.atomic import MEASUREMENTS
from ghostify.io.checksummed_json import checksummed
from ghostify.io.measurements import record
from ghostify.types import Sensitivity, WidthSensitivity

ALWAYS = ["Before and after", "Cost of each layer", "Next steps", "Glossary"]


def test_sections_appear_as_their_data_exist(artifact, sites, read, make):
    assert read(ghostify.write_report(artifact)).headings == ALWAYS
    make.measure(artifact, sites)
    assert read(ghostify.write_report(artifact)).headings == [
        *ALWAYS[:2], "Accuracy", "Plan candidates", "Speed", "Exports",
        *ALWAYS[2:],
    ]  # fmt: skip


def test_the_totals(measured, read):
    words = read(ghostify.write_report(measured)).words
    for figure in (
        "3 of 4 convolutions are Ghost modules: budget macs=0.5, s = 2, d = 3",
        "Parameters 1.000K 500 2.00× fewer",
        "linear layers 64.00K 32.00K 2.00× fewer",
        "Latency: OpenVINO 1.2, batch 1, 1 thread 3 ms 2 ms 1.50× faster",
        "Top-1 accuracy on digits 92.0% 90.0% 2.0 points lower",
        "The mark on each bar is the original. Times are those of A CPU.",
        "converted 64.0K 1.00K 90.00%",
        "Same top-1 class as the original 95.0% on 20 held-out images",
        "PyTorch 1.2 1 1 3 ms 2 ms 1.50× faster 1.50× faster 75%",
        "interleaved rounds, input 1×3×8×8, on A CPU.",
        "onnx out.onnx 2.35KB any 1.5e-06 2.0e-07",
        "body.0.conv 3x3, 16→16 8x8 2 3 147K 78.3K 2.30K 1.22K 0.00% 1.2",
    ):
        assert figure in words


def test_the_top_of_the_page(measured, read):
    page = read(ghostify.write_report(measured))
    faster = "1.50× faster in PyTorch, 1.50× faster in OpenVINO"
    line = f"2.00× smaller, {faster}, 2.0 points less accurate"
    accuracy = "Top-1 accuracy: 92.0% → 90.0% on 50 images of digits"
    words = page.words.replace(" ,", ",")
    assert f"Compression report net {line} {accuracy} 3 of 4 convolutions" in words
    meta = {given.get("property") or given.get("name"): given.get("content")
            for tag, given in page.tags if tag == "meta"}  # fmt: skip
    assert (meta["og:title"], meta["og:description"]) == ("net", line)
    assert meta["description"] == line


def test_a_title(measured, read):
    page = read(ghostify.write_report(measured, title="Mine & <b>ours</b>"))
    assert page.words.startswith("Mine & <b>ours</b> Compression report · net Mine & <b>ours</b>")
    assert ("meta", {"property": "og:title", "content": "Mine & <b>ours</b>"}) in page.tags


def test_what_got_worse_looks_worse(artifact, sites, make, read):
    """Twice the time: the bar ends beyond the mark, and no other quantity is longer."""
    make.measure(artifact, sites, speedup=0.5)
    page = read(ghostify.write_report(artifact))
    styles = [given for tag, given in page.tags if tag == "span" and "style" in given]
    assert {"class": "track", "style": "--one:50.0%"} in styles
    assert styles.count({"class": "worse", "style": "width:100.0%"}) == 2
    worse = [given["class"] for tag, given in page.tags if "worse" in given.get("class", "")]
    assert worse.count("change worse") == 2 + 1 + 2  # latencies, accuracy, and speed
    assert worse.count("worse") == 2 + 1 + 2 + 2  # headline, bars, and meters
    assert "2.00× slower in PyTorch" in page.words


def test_an_untrained_network_is_said_to_be_one_at_the_top(artifact, make, read):
    assert "Untrained." not in read(ghostify.write_report(artifact)).words
    make.change(artifact, lambda recipe: recipe["fidelity"].update(init="random"))
    words = read(ghostify.write_report(artifact)).words
    assert words.index("Untrained. The cheap operations have") < words.index("Before and after")
    assert words.count("The cheap operations have random weights") == 1


def test_maps_of_a_trained_network_are_explained(artifact, make, read):
    pictures = {"channel": 0, "converted": "", "original": ""}
    cases = [("a", False, False), ("a", True, True), (None, True, False)]
    for original, trained, explained in cases:
        site = {"name": "a", "size": [8, 8], "maps": [pictures | {"original": original}]}
        lineage = ["converted", "recovered"] if trained else ["converted"]
        make.change(artifact, lambda recipe, now=lineage: recipe.update(lineage=now))
        record(artifact, "feature-maps", {
            "image": "", "sites": [site], "classes": None, "original_classes": None,
        })  # fmt: skip
        words = read(ghostify.write_report(artifact)).words
        assert ("The network was trained after its conversion" in words) == explained


def test_a_pruned_network(artifact, pruned_plan, make, read):
    make.change(artifact, lambda recipe: recipe.update(plan=pruned_plan.to_dict()))
    found = Sensitivity(
        unit="KL (nats)",
        measured=True,
        layers={"a": {GhostSpec(): 1.6}},
        widths={"a": WidthSensitivity(tuple(range(64)), tuple(i / 64 for i in range(1, 64)))},
    )
    record(artifact, "sensitivity", found.to_dict())
    page = read(ghostify.write_report(artifact))
    for figure in (
        "1 of 5 convolutions are Ghost modules, 3 have fewer output channels: budget",
        "saved by dropped channels saved by ghosts Ghost modules convolutions",
        "Parameters of convolutions 12.78K 5.196K 2.46× fewer",
        "MACs of each layer in execution order: 41% left, 38% saved by dropped channels, 21% saved",
        "a 3x3, 16→64 16→20+20 8x8 2 3 590K 196K 9.22K 3.06K 2",
        "c 1x1, 32→16 24→16 8x8 32.8K 24.6K 512 384 excluded added to other feature maps",
    ):
        assert figure in page.words
    (chart, _) = [given for tag, given in page.tags if given.get("class") == "bars"]
    assert chart["aria-label"].startswith("MACs of each layer: 41% left, 38% saved by dropped")
    assert "outputs 64 → 40 (20 + 20 ghosts)" in "".join(page.text)
    roles = [given["class"] for tag, given in page.tags if tag == "rect"]
    assert [roles.count(role) for role in ("hit", "dropped", "ghosts", "intrinsic", "dense")] == [
        10, 8, 2, 2, 8
    ]  # fmt: skip
    rows = [given["class"] for tag, given in page.tags if tag == "tr" and "class" in given]
    assert rows == ["kept", "ghost pruned", "pruned", "pruned", ""]


def test_what_was_changed(artifact, sites, pruned_plan, make, read):
    def said():
        return read(ghostify.write_report(artifact)).words

    decisions = [replace(decision, ghost=None, keep="budget") for decision in pruned_plan.decisions]
    make.change(artifact, lambda recipe: recipe.update(plan=Plan(tuple(decisions)).to_dict()))
    assert "3 of 5 convolutions have fewer output channels: budget" in said()
    kept = [replace(decision, width=None) for decision in decisions]
    make.change(artifact, lambda recipe: recipe.update(plan=Plan(tuple(kept)).to_dict()))
    assert "None of 5 convolutions was changed: budget" in said()


def test_without_counts_the_convolutions_are_summed(artifact, read):
    words = read(ghostify.write_report(artifact)).words
    assert "Parameters of convolutions 9.216K 5.976K" in words
    assert "ghostify compare out counts the whole network" in words


def test_it_loads_nothing(measured, read):
    page = read(ghostify.write_report(measured))
    assert {attributes.get("href") for tag, attributes in page.tags if tag == "link"} == {"data:,"}
    for _, attributes in page.tags:
        assert not {"src", "srcset", "action", "xlink:href"} & set(attributes)


def test_a_recovery(measured, make, read):
    make.train(measured)
    page = read(ghostify.write_report(measured))
    assert "Recovery training" in page.headings
    assert "20 steps on 640 images, in 12 s, with the original as teacher" in page.words
    circles = [a for tag, a in page.tags if tag == "circle"]
    assert (
        len(circles) == 2 + 3 + 2 + 3 + 2
    )  # losses, scores and that before, original, plans, kept
    assert "epoch 2, kept" in page.words


@pytest.mark.parametrize("loss", [nan, inf, -1e308])
def test_a_loss_that_cannot_be_drawn(measured, make, read, loss):
    make.train(measured)
    make.change(measured, lambda recipe: recipe["recovery"]["history"][0].update(loss=loss))
    page = read(ghostify.write_report(measured))
    circles = [a for tag, a in page.tags if tag == "circle"]
    assert len(circles) == 1 + 3 + 2 + 3 + 2


EVIL = "<script>alert('x')</script>\"&amp;"


def test_names_with_html_are_text(tmp_path, read, make):
    sites = [make.site(f"a.{EVIL}"), make.site("b</title><b>bold</b>"), make.site("c")]
    folder = make.artifact(tmp_path / "<i>out", sites, model=EVIL, kept=("c",))
    make.measure(folder, sites, EVIL)
    page = read(ghostify.write_report(folder, tmp_path / "page.html"))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 1
    assert not {"i", "bold"} & set(tags)
    assert tags.count("b") == 2  # the captions' own
    assert page.words.count(EVIL) >= 4


def test_a_network_of_a_thousand_convolutions_stays_small(tmp_path, make):
    sites = [make.site(f"stage{i // 100}.blocks.{i}.branch.convolution") for i in range(1000)]
    folder = make.artifact(tmp_path / "out", sites)
    make.measure(folder, sites)
    assert ghostify.write_report(folder).stat().st_size < 2_000_000


def test_neither_weights_nor_torch_are_loaded(measured):
    code = (
        "import sys, ghostify; ghostify.write_report('out', 'page.html');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=measured.parent)
    assert (measured.parent / "page.html").is_file()


def test_any_path_like_is_an_artifact(measured):
    class Artifact:
        def __fspath__(self):
            return str(measured)

    assert ghostify.write_report(Artifact()) == measured / "report.html"


def test_a_chart_of_equal_candidates(artifact, sites, make, read):
    """All candidates agree with the original on every image."""
    make.change(artifact, lambda recipe: recipe["fidelity"]["score"].update(agreement=1.0))
    make.measure(artifact, sites, agreement=1.0)
    page = read(ghostify.write_report(artifact))
    assert "100%" in page.words


@pytest.mark.parametrize("file", ["ghostify.json", f"{MEASUREMENTS}/timing-eager.json"])
def test_damaged_files(measured, file):
    text = (measured / file).read_text()
    (measured / file).write_text(text[:-20])
    with pytest.raises(GhostifyError, match=f"{Path(file).name} is damaged"):
        ghostify.write_report(measured)
    assert not (measured / "report.html").exists()


def test_a_recipe_without_a_plan(artifact, make):
    make.change(artifact, lambda recipe: recipe.pop("plan"))
    with pytest.raises(GhostifyError, match="json is damaged: invalid recipe: 'plan' is missing"):
        ghostify.write_report(artifact)


def test_without_jinja(artifact, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(GhostifyError, match=r"pip install '.\[report\]' in a clone"):
        ghostify.write_report(artifact)


def test_missing_folders(tmp_path, artifact):
    with pytest.raises(GhostifyError, match="not a ghostify artifact"):
        ghostify.write_report(tmp_path)
    with pytest.raises(GhostifyError, match="there is no folder"):
        ghostify.write_report(artifact, tmp_path / "none" / "page.html")


def test_the_command_line_has_every_command_and_option(measured, make):
    known = typer.main.get_command(app).commands
    for source in ("torchvision:resnet50", "net.py:build", None):
        given = source and {"name": source, "arguments": {}, "input_size": [3, 8, 8]}
        make.change(measured, lambda recipe, given=given: recipe.update(source=given))
        page = ghostify.write_report(measured).read_text(encoding="utf-8")
        commands = [html.unescape(text) for text in re.findall(r"<dd><code>(.*?)</code>", page)]
        assert len(commands) >= 5
        for command in commands:
            program, name, folder, *arguments = shlex.split(command)
            assert (program, folder) == ("ghostify", measured.name)
            options = {o for parameter in known[name].params for o in parameter.opts}
            given_options = {word for word in arguments if word.startswith("-")}
            assert given_options <= options, command


@pytest.mark.parametrize(
    ("kind", "entry", "value"),
    [
        ("costs", "before", None),
        ("costs", "after", {"params": -1, "weight_bytes": 1, "macs": {}, "uncounted": {}}),
        ("evaluation", "rows", {"original": {"score": {"images": 3, "top1": 1.5}}}),
        ("evaluation", "held_out", -1),
        ("export", "max_abs_error", "small"),
        ("export", "size", 10**400),
        ("feature-maps", "sites", []),
        ("feature-maps", "classes", [[1, 2.0]]),
        ("plan-candidate", "macs", -5),
        ("plan-candidate", "score", {"images": 3, "agreement": -0.5}),
        ("sensitivity", "layers", {"a": [{"ratio": 2, "dw_size": 3, "value": None}]}),
        ("timing", "measurements", [{}]),
        ("timing", "macs", {"net": "many"}),
    ],
)
def test_entries_of_any_measurement_are_checked(measured, kind, entry, value):
    """Somebody changed one and wrote the right checksum."""
    if kind == "feature-maps":
        pictures = {"channel": 0, "converted": "", "original": None}
        site = {"name": "a", "size": [8, 8], "maps": [pictures]}
        record(measured, kind, {
            "image": "", "sites": [site], "classes": None, "original_classes": None,
        })  # fmt: skip
    file = min((measured / MEASUREMENTS).glob(f"{kind}*.json"))
    content = json.loads(file.read_text())
    content.pop("digest")
    content["data"][entry] = value
    file.write_text(checksummed(content))
    with pytest.raises(GhostifyError, match=rf"{file.name} is damaged: .*{entry}") as caught:
        ghostify.write_report(measured)
    assert "\n" not in str(caught.value)


def test_scores_and_costs_that_are_not_known(artifact, make):
    zero = {"params": 0, "weight_bytes": 0, "macs": {}, "uncounted": {}}
    record(artifact, "costs", {"model": "", "input": "", "before": zero, "after": zero})
    fidelity = {"init": "calibrated", "score": {"images": 3}}
    make.change(artifact, lambda recipe: recipe.update(fidelity=fidelity))
    assert "3 held-out images" not in ghostify.write_report(artifact).read_text()


@pytest.mark.parametrize("entry", ["ghostify", "torch"])
def test_versions_are_in_every_recipe(artifact, make, entry):
    make.change(artifact, lambda recipe: recipe["versions"].pop(entry))
    with pytest.raises(GhostifyError, match=f"versions: '{entry}' is missing"):
        ghostify.write_report(artifact)
