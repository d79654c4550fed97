"""Every option of every command is a keyword of the same name in the function behind it."""

from dataclasses import fields
from inspect import signature

import pytest
import typer

import ghostify
from ghostify import Artifact, Augmentation, RecoverySettings
from ghostify.cli.app import app

COMMANDS = typer.main.get_command(app).commands

# The function or method behind each command. What a command does to a folder, a method of
# `Artifact` does; its further keywords are those of the function that it calls.
BEHIND = {
    "analyze": [ghostify.analyze],
    "benchmark": [Artifact, Artifact.benchmark, ghostify.benchmark],
    "compare": [Artifact, Artifact.compare, ghostify.compare],
    "compress": [ghostify.compress, ghostify.open_data],
    "convert": [ghostify.convert, ghostify.save],
    "evaluate": [
        Artifact,
        Artifact.evaluate,
        ghostify.evaluate_models,
        ghostify.open_data,
    ],
    "export": [Artifact, Artifact.export, ghostify.export],
    "models": [],
    "plan": [ghostify.plan],
    "recalibrate": [
        Artifact,
        Artifact.recalibrate,
        ghostify.recalibrate,
        ghostify.open_data,
    ],
    "recover": [Artifact, Artifact.recover, ghostify.recover, ghostify.open_data],
    "redundancy": [ghostify.redundancy],
    "report": [Artifact, Artifact.write_report],
    "search": [Artifact, Artifact.search, ghostify.search],
    "sensitivity": [Artifact, Artifact.sensitivity, ghostify.sensitivity],
}

# Positional arguments are named after what stands there; the options below are not keywords.
ARGUMENTS = {"model", "target", "folder", "pattern"}
EXCEPTIONS = {
    "help": "the command line's own",
    "format": "a result's own methods: print, to_json, to_csv, to_markdown",
    ("compress", "weights"): "Python is given a model that has its weights",
    ("analyze", "weights"): "Python is given a model that has its weights",
    ("plan", "weights"): "Python is given a model that has its weights",
    ("redundancy", "weights"): "Python is given a model that has its weights",
    "pretrained": "Python is given a model that has its weights",
    "partial": "load_weights, which gives the model its weights",
    "input": "Python is given an example input",
    "resize": "Preprocessing.resize of a ModelSource or of open_data",
    "crop": "Preprocessing.crop of a ModelSource or of open_data",
    "interpolation": "Preprocessing.interpolation of a ModelSource or of open_data",
    "normalize": "Preprocessing.mean and std of a ModelSource or of open_data",
    "reparameterize": "Python is given what ghostify.reparameterize returned",
    "model_arg": "Python is given a model",
    "no_labels": "labels=False",
    ("benchmark", "device"): "Python's benchmark runs where the example is",
    ("convert", "device"): "Python's convert runs where the model is",
    ("plan", "device"): "Python's plan runs where the model is",
    ("search", "device"): "Python's search runs where the model is",
    ("sensitivity", "device"): "Python's sensitivity runs where the model is",
    ("convert", "dry_run"): "without it, save",
    ("convert", "out"): "the path that save is given",
    ("convert", "report"): "Artifact.write_report, or the methods of the report",
    ("convert", "images"): "Python is given as many images as are to be used",
    ("plan", "images"): "Python is given as many images as are to be used",
    ("search", "images"): "Python is given as many images as are to be used",
    ("sensitivity", "images"): "Python is given as many images as are to be used",
    ("export", "images"): "Python is given as many images as are to be used",
    ("compare", "images"): "Python is given as many images as are to be used",
    ("redundancy", "image"): "the positional argument images",
    ("redundancy", "layer"): "layers, of which the picture shows one",
    ("redundancy", "out"): "the file that plot_redundancy is given",
    ("plan", "out"): "Plan.save, or print(plan.to_json())",
    ("search", "out"): "Plan.save, or print(plan.to_json())",
    ("sensitivity", "out"): "Sensitivity.to_json",
    ("sensitivity", "plot"): "plot_sensitivity",
    ("benchmark", "out"): "the methods of Timing",
    ("benchmark", "plot"): "plot_timing",
    ("export", "out"): "the positional argument file",
    ("report", "image"): "Artifact.record_feature_maps",
}  # fmt: skip


def options():
    return [
        pytest.param(name, parameter.name, id=f"{name}-{parameter.name}")
        for name, command in COMMANDS.items()
        for parameter in command.params
        if parameter.name not in ARGUMENTS
    ]


def keywords(name):
    found = {key for function in BEHIND[name] for key in signature(function).parameters}
    if name == "recover":
        found |= {f.name for cls in (RecoverySettings, Augmentation) for f in fields(cls)}
    return found


@pytest.mark.parametrize(("command", "option"), options())
def test_every_option_is_a_keyword(command, option):
    excepted = option in EXCEPTIONS or (command, option) in EXCEPTIONS
    assert excepted != (option in keywords(command)), EXCEPTIONS.get((command, option))


def test_no_exception_is_out_of_date():
    known = {(param.values[0], param.values[1]) for param in options()}
    assert {key for key in EXCEPTIONS if isinstance(key, tuple)} <= known
    assert set(BEHIND) == set(COMMANDS)
