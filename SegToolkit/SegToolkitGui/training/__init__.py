"""The training module's panel, part by part."""
