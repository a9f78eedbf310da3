"""Measurements: one file a benchmark, JSON out, all parts real and on this one machine."""
