"""Notifiers: one file each."""
