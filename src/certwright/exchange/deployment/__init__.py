"""What is done: plan, apply, the way back, and the clean-up. Plans are pure."""
