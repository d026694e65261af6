"""SSL-ALPNet: few-shot segmentation with adaptive local prototypes, trained on superpixels.

Source: C. Ouyang et al., "Self-supervision with Superpixels: Training Few-shot Medical Image
Segmentation without Annotation", ECCV 2020, doi:10.1007/978-3-030-58526-6_45; journal version in
IEEE TMI 41(7), 2022.
"""
