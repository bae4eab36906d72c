"""Is it served? What the ports, web services and queues show."""
