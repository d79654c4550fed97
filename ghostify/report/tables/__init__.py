"""Documents of results that are defined in `ghostify.types`."""
