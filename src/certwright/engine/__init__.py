"""Use cases: what Certwright does for whoever asks, be it the command line, the pages, the API or the schedule."""
