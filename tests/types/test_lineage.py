from types import SimpleNamespace

from ghostify.types import Lineage


def test_steps_are_numbered_from_the_second_time():
    steps = Lineage().then("recovered").then("recalibrated").then("recovered").then("recovered")
    assert steps.steps == (
        "converted", "recovered", "recalibrated", "recovered 2", "recovered 3"
    )  # fmt: skip
    assert steps.name == "recovered 3"


def test_a_model_is_converted_unless_it_says_more():
    model = SimpleNamespace()
    assert Lineage.of(model).name == "converted"
    Lineage(("converted", "pruned")).attach(model)
    assert Lineage.of(model).name == "pruned"
