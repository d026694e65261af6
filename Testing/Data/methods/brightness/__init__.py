"""A method for tests: every structure is a band of brightness. It plugs in by its folder alone:
``SEGTOOLKIT_METHOD_PATH=Testing/Data/methods``; ``models.make_model`` writes a model of it.
"""
