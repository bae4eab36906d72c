"""E-mail as a client of SMTP: a bounded conversation with one server, and which servers take the mail of a domain."""
