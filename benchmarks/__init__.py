"""Speed, measured side by side with a reference in one run and reported as a ratio.

Every figure is the median of rounds in which the measured thing and its reference alternate, so
that a busy machine slows both. `python -m benchmarks --help` lists them.
"""
