"""The paper's tables, run again: ``python -m benchmarks.paper run`` and ``tables``."""
