"""Metrics of `latentsr evaluate --metric` that need torch: LPIPS and DISTS.

Each takes its network from the package of its authors and the backbone's weights from the file
that torchvision keeps in its cache. Nothing is fetched: a missing file is a BackendError that
says where it belongs.
"""
