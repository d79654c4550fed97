"""How well networks do on images, and how far two agree."""
