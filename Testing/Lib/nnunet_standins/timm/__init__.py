"""In place of timm, which needs torchvision: nnU-Net imports its transformers while it looks for trainers.

torchvision's public packages are built for GPUs and do not load beside a CPU build of torch. No test uses a
transformer. See docs/nnunet.md.
"""
