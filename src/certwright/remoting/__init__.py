"""Transports to other machines. Each knows its protocol and nothing of certificates."""
