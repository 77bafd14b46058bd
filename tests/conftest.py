"""What all tests share."""

from hypothesis import settings

# The same examples on every run and no time limit per example: a slow machine must not turn a test red.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")
