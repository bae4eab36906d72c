"""What each endpoint does, one file per resource; `service` has proven the request before."""
