"""The service: everything that runs by itself, in one process."""
