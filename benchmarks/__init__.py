"""How fast greenproc is, beside what one would write without it: ``python -m benchmarks``."""
