"""Ways to answer challenges: one plugin, one file."""
