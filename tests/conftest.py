"""For all tests."""

import signal

# A shell that runs the tests in the background ignores Ctrl-C for them, and so would the programs that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
