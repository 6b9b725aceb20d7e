"""A model repository for NVIDIA's Triton Inference Server that serves one route of a bundle.

It is one model of Triton's Python backend, which runs this runtime: a stream's bytes go in, the
picture comes out::

    REPOSITORY/NAME/config.pbtxt          STREAM uint8 [-1] → PICTURE uint8 [-1, -1, 3]
    REPOSITORY/NAME/1/model.py            hands over to `latentsr.deploy.triton_model`
    REPOSITORY/NAME/1/bundle.lsr/         a copy of the bundle

Not an ensemble of the graphs in Triton's ONNX backend with coders between them, though Triton could
do that: scales, latents and planes would be copied between models at each step; the check that
the decoded symbols are the encoder's spans all steps, and a failure in the middle must be the
stream's error, not a shape that a later model refuses; the exact graphs need an engine held to
FP32, which the runtime sees to; and streams of different sizes make no batch anyway. Many requests
at a time are served by instances, each on a core of its own.

The server's Python needs latentsr with the backend's library: install it in the container, or name
a packed environment in `EXECUTION_ENV_PATH` as Triton's documentation says.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from latentsr.backends import get_backend, split_device
from latentsr.backends.base import INT8
from latentsr.backends.precision import check_precision
from latentsr.bundle import Bundle
from latentsr.deploy.bundle_copy import bundle_files, write_files
from latentsr.errors import UsageError
from latentsr.pipeline.schedule import check_count, usable_cores

INPUT, OUTPUT, BUNDLE = "STREAM", "PICTURE", "bundle.lsr"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")

MODEL = '''"""Written by `latentsr export-triton`; Triton's Python backend loads this class."""

from latentsr.deploy.triton_model import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''

CONFIG = """name: {name}
backend: "python"
max_batch_size: 0
input [ {{ name: "STREAM" data_type: TYPE_UINT8 dims: [ -1 ] }} ]
output [ {{ name: "PICTURE" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }} ]
instance_group [ {{ count: {instances} kind: KIND_CPU }} ]
parameters {{ key: "route" value {{ string_value: {route} }} }}
parameters {{ key: "backend" value {{ string_value: {backend} }} }}
parameters {{ key: "threads" value {{ string_value: "{threads}" }} }}
parameters {{ key: "precision" value {{ string_value: {precision} }} }}
"""


@dataclass(frozen=True)
class Serving:
    """How a route is served.

    route: None for the one that the bundle names for `upscale`. name: of the model, None for the
    bundle's and the route's. instances: None for as many as this machine has processors for, with
    `threads` engine threads each.
    """

    route: str | None = None
    name: str | None = None
    instances: int | None = None
    threads: int = 1
    backend: str = "ort"
    precision: str = "fp32"


def export_triton(
    bundle: str | Path, repository: str | Path, serving: Serving | None = None
) -> Path:
    """Write a model into a repository and return its folder; the repository is made if missing.

    Raises BundleError, UsageError where a model of that name is there or an option is wrong.
    """
    serving, opened = serving or Serving(), Bundle(bundle)
    route = opened.manifest.upscale if serving.route is None else serving.route
    opened.route(route, "decode")
    _check_engine(opened, serving)
    name = serving.name or re.sub(r"[^A-Za-z0-9_.-]", "_", f"{opened.manifest.name}_{route}")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"model name is wrong: found {name!r}, expected up to 128 letters, digits and _.-, a "
            "letter or digit first; choose another --name"
        )
    target = Path(repository) / name
    if target.exists():
        raise UsageError(
            f"model is there already: found {target}, expected a new one; remove it or choose "
            "another --name"
        )
    config = config_text(name, route, serving)
    try:
        Path(repository).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=repository) as hidden:
            model = Path(hidden) / name
            write_files(model, {"config.pbtxt": config.encode(), "1/model.py": MODEL.encode()})
            write_files(model / "1" / BUNDLE, bundle_files(opened))
            model.rename(target)
    except OSError as error:
        raise UsageError(
            f"repository cannot be written: found {error.strerror} at {repository}, expected a "
            "folder that can be written; choose another"
        ) from None
    return target


def _check_engine(bundle: Bundle, serving: Serving) -> None:
    """Raise UsageError for a backend or precision with which no server could load the model."""
    backend = get_backend(split_device(serving.backend)[0])
    if serving.precision != INT8:  # the server's machine has plans of its own
        check_precision(bundle, serving.precision, backend.name)


def config_text(name: str, route: str, serving: Serving) -> str:
    """The model's configuration in protobuf's text form."""
    check_count("threads", serving.threads)
    instances = max(1, usable_cores() // serving.threads)
    if serving.instances is not None:
        instances = serving.instances
        check_count("instances", instances)
    return CONFIG.format(
        name=_quoted(name), instances=instances, route=_quoted(route), threads=serving.threads,
        backend=_quoted(serving.backend), precision=_quoted(serving.precision),
    )  # fmt: skip


def _quoted(text: str) -> str:
    """A string of protobuf's text form: bytes that are no plain ASCII as octal escapes."""
    plain = [
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03o}"
        for byte in text.encode()
    ]
    return f'"{"".join(plain)}"'
