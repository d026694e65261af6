"""The published methods, one package each, with the same file names in each.

A method never imports another method; what two of them need moves down the library.
"""
