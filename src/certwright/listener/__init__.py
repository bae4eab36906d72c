"""Listens for the authority: the ports on which challenges are answered."""
