"""Benchmarks: the cost of the package, as ratios to simple code that is measured in the same run.

``python -m benchmarks`` prints the ratios beside their marks. A ratio of 0.5 means half the cost, so less is better
everywhere. Seconds would measure the machine more than the code. The two sides of a ratio are measured in turns, so
that other load of the machine affects both. The docstring of each module names its two sides.
"""
