"""Cooperative training with latent-space data augmentation: slice-wise segmentation that few labels teach.

Source: Chen et al., Cooperative Training and Latent Space Data Augmentation for Robust Medical Image
Segmentation, MICCAI 2021, arXiv 2107.01079.
"""
