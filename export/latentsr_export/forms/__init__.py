"""Forms of graphs for `latentsr build`: other nodes, the same function. Needs onnx, not torch."""
