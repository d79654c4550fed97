"""A converted network on disk."""
