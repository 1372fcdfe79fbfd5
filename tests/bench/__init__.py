"""The benchmark: `make bench`. A figure, never a timed test: machines are shared and noisy, so read medians and ratios."""
