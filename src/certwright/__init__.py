"""Certwright keeps TLS certificates valid and served."""

__version__ = "0.1.0"
