"""Act on a plan: Ghost modules in place of convolutions, and what they start from."""
