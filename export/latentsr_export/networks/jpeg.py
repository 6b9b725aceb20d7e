"""JPEG as a codec: no graphs and no tables, a stream is the file itself."""

from __future__ import annotations

from dataclasses import dataclass

from latentsr_export.parts import CodecParts

CHUNK = "picture"


@dataclass(frozen=True)
class Jpeg:
    """Pillow's baseline JPEG at one quality (1..100); subsampling as ``4:2:0``."""

    quality: int
    subsampling: str = "4:2:0"

    NAME = "jpeg"

    def parts(self) -> CodecParts:
        """One chunk that is a file; networks take what it decodes to as float32 planes."""
        encode = {"op": "jpeg_encode", "chunk": CHUNK, "in": "picture", "quality": self.quality,
                  "subsampling": self.subsampling}  # fmt: skip
        return CodecParts(
            family=self.NAME,
            channels=(3,),
            multiple=1,
            graphs={},
            entropy_graphs=(),
            chunks=({"name": CHUNK, "model": "jpeg", "channels": 3, "stride": 1},),
            tensors={},
            enter=(),
            encode=(encode,),
            latent=({"op": "jpeg_decode", "chunk": CHUNK, "out": "picture"},),
            pixels=({"op": "pad", "in": "picture", "out": "x_hat"},),
            show=(),
            pixel_feed="picture",
        )
