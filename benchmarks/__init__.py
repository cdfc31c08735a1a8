"""Benchmarks: the cost of the package, as ratios to the best hand-written loop that is measured in the same run.

``python -m benchmarks`` prints the figures beside their marks, and README.rst explains each row. A ratio of 0.5 means
half the cost, so less is better everywhere. Seconds would measure the machine more than the code. The two sides of a
ratio are measured in turns, so that other load of the machine affects both. The docstring of each module names its two
sides.
"""
