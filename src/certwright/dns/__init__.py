"""DNS providers: where the TXT records of dns-01 are written; one plugin, one file."""
