"""Convert a model: plan, swap modules, initialize Ghost modules; measure what a plan needs."""
