"""Sign-in by OpenID Connect: providers are stored and tried, and people come by them (OpenID Connect Core 1.0)."""
