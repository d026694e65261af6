"""Parity cases: numbers of the methods' authors' own code, and the checks that hold ours against them."""
