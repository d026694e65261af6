"""The worker: a process that answers a window's requests and keeps what is costly; docs/worker.md.

It knows the methods through ``methods.registry`` only.
"""
