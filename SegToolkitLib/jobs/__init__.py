"""Processes that outlive the window which started them (to come with background training)."""
