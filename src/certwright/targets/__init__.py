"""Where tasks write and run things."""
