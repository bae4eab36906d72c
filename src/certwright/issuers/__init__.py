"""Kinds of authority, one file each."""
