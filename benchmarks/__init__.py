"""What the package costs, as ratios to something plain that is measured in the same run.

``python -m benchmarks`` prints them beside the marks to reach. A ratio of 0.5 means half the cost of what it is
compared with, and so less is better everywhere; seconds would tell more of the machine than of the code. The two sides
of a ratio are measured in turns, so that what else the machine does falls on both. Each module says what its sides are.
"""
