"""TensorRT 8.6: make a weakly typed network compute in the types that its graph has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorrt as trt


def follow_graph(network: trt.INetworkDefinition, config: trt.IBuilderConfig, fp16: bool) -> None:
    """Allow FP16 where the graph is FP16, and hold the layers that it keeps in FP32 there."""
    import tensorrt as trt

    config.set_preview_feature(trt.PreviewFeature.PROFILE_SHARING_0806, True)
    if not fp16:
        return
    config.set_flag(trt.BuilderFlag.FP16)
    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
    # These move or convert values: TensorRT chooses their precision by what surrounds them.
    free = (trt.LayerType.CONSTANT, trt.LayerType.CAST, trt.LayerType.SHAPE,
            trt.LayerType.IDENTITY, trt.LayerType.SHUFFLE)  # fmt: skip
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        types = [layer.get_output_type(i) for i in range(layer.num_outputs)]
        if layer.type not in free and types and all(t == trt.DataType.FLOAT for t in types):
            layer.precision = trt.DataType.FLOAT
            for i in range(layer.num_outputs):
                layer.set_output_type(i, trt.DataType.FLOAT)
