"""Microsoft Exchange as a subject: read, plan, apply, verify, undo. Never guess: what is unknown is called unknown."""
