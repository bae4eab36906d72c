"""Properties are bounded by the number of their examples; on a busy machine a deadline would only be noise."""

from hypothesis import settings

settings.register_profile("domain", deadline=None)
settings.load_profile("domain")
