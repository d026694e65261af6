"""Trainings that outlive the window that started them: start, watch, stop, resume, queue; docs/jobs.md.

Nothing here imports torch.
"""
