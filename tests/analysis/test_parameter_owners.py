from torch import nn

from ghostify.analysis.parameter_owners import parameter_owners, shares_parameters


def test_a_parameter_belongs_to_the_module_that_holds_it_directly():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    linear = model[0][0]
    assert parameter_owners(model) == {id(linear.weight): [linear], id(linear.bias): [linear]}


def test_tied_weights_have_two_owners():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    owners = parameter_owners(model)
    assert owners[id(model[0].weight)] == [model[0], model[1]]
    assert [shares_parameters(module, owners) for module in model] == [True, True, False]


def test_a_module_under_two_names_is_one_owner():
    linear = nn.Linear(2, 2)
    model = nn.Sequential(linear, linear)
    assert not shares_parameters(linear, parameter_owners(model))
