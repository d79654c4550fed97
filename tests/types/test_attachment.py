from types import SimpleNamespace

from ghostify.types import Fidelity, Lineage


def test_one_record_of_each_kind():
    model = SimpleNamespace(own=3)
    assert Fidelity.find(model) is None
    for init in ("weights", "calibrated"):
        Fidelity(init).attach(model)
    Lineage().attach(model)
    assert Fidelity.find(model) == Fidelity("calibrated")
    Fidelity.remove_all(model)
    assert vars(model) == {"own": 3}


def test_an_attribute_of_that_name_is_no_record():
    assert Lineage.find(SimpleNamespace(_ghostify_lineage="converted")) is None
