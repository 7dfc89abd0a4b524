"""Benchmarks beside peers, run by ``fedsim bench``; what they measured stands in ``Testing/results``."""
