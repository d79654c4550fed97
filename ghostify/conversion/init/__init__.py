"""Initializers: where Ghost modules get their weights from."""
