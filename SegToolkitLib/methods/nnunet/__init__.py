"""Models of nnU-Net v2, with trainers of its own, of SegToolkit's plug-in or of others.

The only method whose network is another program's: everything here calls the package ``nnunetv2``, which is
an optional extra. Source: Isensee et al., Nat. Methods 18 (2021); nnU-Net 2.8.1.
"""
