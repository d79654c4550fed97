import subprocess
import sys

import pytest

import ghostify
from ghostify import GhostifyError, GhostSpec
from ghostify.planning import plan_sites


@pytest.fixture
def sites(small_net, image):
    return ghostify.analyze(small_net, image)


@pytest.mark.parametrize("number", [{"ratio": 2}, {"dw_size": 3}])
def test_a_budget_chooses_the_numbers_itself(sites, number):
    with pytest.raises(GhostifyError, match=f"`{next(iter(number))}` does not apply with `budget`"):
        plan_sites(sites, budget="macs=0.5", **number)


@pytest.mark.parametrize("argument", [{"candidates": [GhostSpec()]}, {"totals": {"macs": 1}}])
def test_what_is_for_a_budget_needs_one(sites, argument):
    with pytest.raises(GhostifyError, match=f"`{next(iter(argument))}` needs `budget`"):
        plan_sites(sites, **argument)


def test_a_uniform_plan_does_not_wait_for_the_solver():
    code = (
        "import sys; from ghostify.planning import plan_sites; plan_sites([]); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"scipy", "numpy", "torch"}
