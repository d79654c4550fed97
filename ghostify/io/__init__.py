"""Files of an artifact, and progress on the terminal."""
