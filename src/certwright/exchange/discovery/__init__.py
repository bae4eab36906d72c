"""What there is: everything that an organisation tells, read and never changed."""
