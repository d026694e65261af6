"""The training loop, its checkpoints and run folders; the same for every method."""
