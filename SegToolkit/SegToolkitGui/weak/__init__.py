"""The panel SegToolkit: Weak Supervision: tags, maps, masks and their review."""
