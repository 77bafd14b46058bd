"""llmlib: a small language-model library. Every mechanism is written to be read; the lectures rebuild each one."""

import os
import sys

# OpenMP threads that spin while they wait make a shared two-core machine ten times slower. The setting is read once,
# when torch loads its runtime, so it has to be here and not later.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
