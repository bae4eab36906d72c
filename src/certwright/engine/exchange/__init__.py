"""Use cases of an Exchange organisation: what the command line, the API and the pages offer."""
