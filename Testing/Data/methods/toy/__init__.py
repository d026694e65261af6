"""A method for tests: a tiny network on synthetic pictures, with or without a data set.

It plugs in by its folder alone: ``SEGTOOLKIT_METHOD_PATH=Testing/Data/methods``.
"""
