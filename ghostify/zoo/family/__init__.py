"""The networks of the GhostNet papers."""
