"""What is to be thought of it: checks, names, drift, and reports for people."""
