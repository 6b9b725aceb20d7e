"""How a latent's neighbours go together: what helps to repair CompressAI's own streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from latentsr.entropy.neighbours import measure
from latentsr_export.exact_parts import latents_of
from latentsr_export.parts import CodecParts


def add_neighbours(parts: CodecParts, pictures: Sequence[np.ndarray]) -> CodecParts:
    """Parts with the tensor ``y.neighbours`` of codecs whose scales a graph predicts.

    pictures: uint8 (H, W, 3), also reduced by 2 and 4.
    """
    if len(parts.predicted) != 1 or parts.predicted[0].context is not None:
        return parts
    (one,) = parts.predicted
    pairs = []
    for y, z_hat in latents_of(parts, pictures):
        with torch.no_grad():
            made = parts.graphs[one.graph].module(z_hat)
        scales, means = made if isinstance(made, tuple) else (made, torch.zeros(()))
        pairs.append((torch.round(y - means).numpy(), scales.numpy()))
    return replace(parts, tensors={**parts.tensors, f"{one.chunk}.neighbours": measure(pairs)})
