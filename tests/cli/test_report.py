"""``ghostify report``, and pages from ``convert``."""

import pytest

pytest.importorskip("jinja2", reason="pages take Jinja2")


@pytest.fixture
def out(run, net, tmp_path):
    assert run("convert", *net, "--out", "out").code == 0
    return tmp_path / "out"


def test_a_page(run, out, tmp_path):
    result = run("report", "out")
    assert result.code == 0, result.err
    assert (result.out, result.err) == ("", "Written to out/report.html.\n")
    assert run("report", "out", "-o", "page.html").code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page == (out / "report.html").read_text(encoding="utf-8")
    assert "<h1>net.py:build</h1>" in page
    assert "ghostify export out --to onnx --model net.py:build" in page


def test_convert_writes_the_same_page(run, net, tmp_path):
    assert run("convert", *net, "--out", "out", "--report", "page.html").code == 0
    run("report", "out")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_page_of_nothing(fails, net):
    said = fails("convert", *net, "--report", "page.html", "--dry-run")
    assert "a page is made from what was saved: drop --dry-run" in said


def test_what_can_be_put_right(fails, run, out, tmp_path):
    assert "missing is not a ghostify artifact" in fails("report", "missing")
    assert "there is no folder none" in fails("report", "out", "-o", "none/page.html")
    said = fails("report", "out", "--image", "missing.png", "-o", "page.pdf")
    assert said == "error: --out (='page.pdf') must end in .html"
    (out / "ghostify.json").write_text("{")
    assert "ghostify.json is damaged" in fails("report", "out")
    assert not (out / "report.html").exists()


def test_feature_maps(run, net, pictures, tmp_path):
    run("convert", *net, "--out", "out")
    own = ["--model", "net.py:build", "--input", "3x16x16"]
    result = run("report", "out", "--image", "pictures/0.jpg", *own, "-o", "page.html")
    assert result.code == 0, result.err
    assert ">Feature maps</h2>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    run("report", "out", "-o", "again.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "page.html").read_bytes()


def test_an_image_that_is_none(fails, out, tmp_path):
    own = ["--model", "net.py:build", "--input", "3x16x16"]
    assert "missing.png" in fails("report", "out", "--image", "missing.png", *own)
    assert "own code" in fails("report", "out", "--image", "missing.png")
    assert not (out / "report.html").exists()


def test_plots(run, out, tmp_path):
    pytest.importorskip("matplotlib")
    assert run("report", "out", "--plots", "plots").code == 0
    found = sorted(file.name for file in (tmp_path / "plots").iterdir())
    assert found == ["macs.png", "macs.svg", "params.png", "params.svg"]
