"""Write a bundle again with FP16 variants, unless it has them: what FP16 contenders need.

python benchmarks/gpu/half_bundle.py BUNDLE OUTPUT

Needs torch and onnx, not CompressAI: the variants are made from the graphs.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from latentsr.bundle import Bundle


def main() -> None:
    bundle, output = Bundle(sys.argv[1]), Path(sys.argv[2])
    if any("fp16" in graph.variants for graph in bundle.manifest.graphs.values()):
        shutil.copytree(bundle.path, output, dirs_exist_ok=True)
        print(output, "had FP16 variants")
        return
    from latentsr_export.fp16.variants import add_fp16

    made = add_fp16(bundle, output)
    print(output, [n for n, g in made.manifest.graphs.items() if "fp16" in g.variants])


if __name__ == "__main__":
    main()
