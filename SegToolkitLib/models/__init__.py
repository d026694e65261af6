"""Trained models: a folder with a card (model.json) and its weights (safetensors), and where they are kept.

Only ``folder``, ``foreign`` and ``state`` import torch: a window may list models without it.
"""
