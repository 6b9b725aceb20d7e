"""Baselines of `latentsr bench` that need PyTorch: how people decode and enlarge today.

One class a name of the entry-point group `latentsr.baselines`; all read the same symbols as the
bundle's routes, from strings that CompressAI wrote.
"""
