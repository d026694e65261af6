"""PDCR and UAFR in trainers of nnU-Net v2; importing this package imports neither torch nor nnU-Net."""
