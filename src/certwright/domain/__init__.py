"""Facts and rules: pure values and decisions. No I/O and no clock: `now` is an argument."""
