"""SemiSeg-CSSN and EfficientSegNet: whole volumes in two stages, trained with cross supervision.

Sources: Zhang et al., Efficient Context-Aware Network for Abdominal Multi-organ Segmentation, arXiv
2109.10601; Jia, SemiSeg-CSSN (FLARE 2022); Chen et al., cross pseudo supervision, CVPR 2021.
"""
