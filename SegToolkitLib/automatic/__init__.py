"""Whatever segments volumes by itself: one protocol for all methods, and what a person gets around it.

A method takes part with a module ``automatic`` in its package: ``describe`` and ``load``, see ``segmenter``.
The command line, the worker and the panels know such methods through ``methods.registry.automatic_of`` alone,
so a model of a later method appears by its card.
"""
