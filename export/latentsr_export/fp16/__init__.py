"""FP16 twins of a bundle's graphs: typed by the exporter, as engines that obey the graph want it.

flow → calibration → rescale → halves, checked by emulation and by a gate on whole routes. See
`variants.add_fp16`, which does all of it, and `convert.convert` for one graph.
"""
