"""WSS-CMER: class activation maps of registered modalities, taught by tags of slices alone.

Source: Patel and Dolz, Weakly supervised segmentation with cross-modality equivariant constraints, Medical
Image Analysis 2022, doi 10.1016/j.media.2022.102374, arXiv 2104.02488.
"""
