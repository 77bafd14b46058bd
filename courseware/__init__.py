"""courseware: what turns sources into notebooks, checks answers, grades labs and draws the interactive parts."""

# Not lazily: once the module courseware.check is loaded it would take the function's place in `from courseware import
# check`. The checker loads torch only when it meets a tensor.
from courseware.check import check, log_prediction

__all__ = ["check", "log_prediction"]
