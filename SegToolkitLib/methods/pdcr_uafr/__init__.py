"""PDCR and UAFR: supervised segmentation that few labels teach better.

A regulariser draws hidden features of alike patches together and pushes others apart (PDCR); small heads let
a network weigh its own features by how sure they are (UAFR). Both go onto any network, in 2-D and in 3-D.
Source: Liu et al., Contrastive and Selective Hidden Embeddings for Medical Image Segmentation, IEEE TMI
41(11), 2022, doi 10.1109/TMI.2022.3186677, arXiv 2201.08779.
"""
