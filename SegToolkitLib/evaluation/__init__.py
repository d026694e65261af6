"""Metrics, tables and pictures of results."""
