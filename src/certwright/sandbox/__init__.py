"""The demo world: a certificate authority, an Exchange organisation and a store of its own, all on loopback."""

from certwright.sandbox.world import World

__all__ = ["World"]
