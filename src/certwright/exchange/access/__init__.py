"""How Exchange is asked: sessions of one organisation, and what its answers mean."""
