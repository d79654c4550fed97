"""Options from settings."""

import warnings
from dataclasses import dataclass, fields
from inspect import signature
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner

from ghostify.cli.app import app
from ghostify.cli.settings import expand_settings
from ghostify.types import Augmentation, GhostifyError, RecoverySettings
from ghostify.types.errors import GhostifyWarning
from ghostify.types.settings import check, setting


@dataclass(frozen=True)
class Oven:
    """How to bake.

    Attributes:
        heat_level: Temperature in degrees,
            ``180`` for bread.
        fan: Whether the fan runs.
        mode: ``top`` or ``bottom``.
        minutes: Duration. Default: until done.

    Raises:
        GhostifyError: if it burns.
    """

    heat_level: int = setting(180, "Heat", above=0, at_most=300)
    fan: bool = setting(True, "Heat", opposite="still")
    mode: str = setting("top", "Heat", choices=("top", "bottom"))
    minutes: float | None = setting(None, "Time", above=0)

    def __post_init__(self) -> None:
        check(self)


def bake(*arguments):
    seen = []

    @expand_settings
    def command(name: str, oven: Oven, count: int = 1) -> None:
        """Bake."""
        seen.append((name, oven, count))

    baker = typer.Typer()
    baker.command()(command)
    result = CliRunner().invoke(baker, arguments)
    if isinstance(result.exception, GhostifyError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return seen[0] if seen else result.output


def test_fields_become_options():
    assert bake("bread") == ("bread", Oven(), 1)
    expected = Oven(heat_level=200, fan=False, mode="bottom", minutes=2.5)
    found = bake("bread", "--heat-level", "200", "--still", "--mode", "bottom", "--minutes", "2.5")
    assert found == ("bread", expected, 1)
    assert type(found[1].mode) is str


def test_help_shows_documentation_by_panel():
    output = " ".join(bake("--help").replace("│", " ").split())
    assert "Temperature in degrees, 180 for bread." in output
    assert "─ Heat ─" in output
    assert "─ Time ─" in output


def test_errors_name_options():
    with pytest.raises(GhostifyError, match=r"^--heat-level \(=400\) must be"):
        bake("bread", "--heat-level", "400")


def test_warnings_name_options(monkeypatch):
    shown = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *rest: shown.append(message))
    warnings.simplefilter("always")

    @expand_settings
    def command(oven: Oven) -> None:
        warnings.warn("`heat_level` is high", GhostifyWarning, stacklevel=1)
        warnings.warn("`heat_level` is deprecated", UserWarning, stacklevel=1)

    command(heat_level=300, fan=True, mode="top", minutes=1.0)
    warnings.warn("`heat_level` is high", GhostifyWarning, stacklevel=1)
    texts = ["--heat-level is high", "`heat_level` is deprecated", "`heat_level` is high"]
    assert [str(message) for message in shown] == texts


@pytest.mark.parametrize("cls", [RecoverySettings, Augmentation])
def test_every_setting_is_an_option_of_recover_with_help(cls):
    command = typer.main.get_command(app).commands["recover"]
    options = {parameter.name: parameter for parameter in command.params}
    for field in fields(cls):
        assert options[field.name].help
        assert options[field.name].rich_help_panel == field.metadata["panel"]
        assert f"--{field.name.replace('_', '-')}" in options[field.name].opts


def test_annotations_agree_with_the_signature():
    def command(oven: Oven) -> None: ...

    expanded = expand_settings(command)
    found = signature(expanded).parameters
    assert {name: p.annotation for name, p in found.items()} == expanded.__annotations__
    assert get_args(found["heat_level"].annotation)[0] is int
