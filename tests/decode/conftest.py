"""Nothing here is judged by the clock: a machine that is busy is no reason for a test to fail."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
