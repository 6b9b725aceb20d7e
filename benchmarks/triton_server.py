"""An exported model on a real Triton server: pictures bit for bit, errors, and latency.

python benchmarks/triton_server.py --server TRITONSERVER --backends FOLDER [--bundle demo]
    [--route latent_x4] [--pictures PICTURES...] [--rounds 20] [--note TEXT]
    [--out triton.json]

Exports the model, starts the server on this machine's loopback addresses, and asks it by gRPC for
the pictures of streams; each has to be the one that the runtime makes in this process, whole, by
several threads at once, and spoilt streams have to be errors of their own. `ms`: from the stream in
hand to the picture in hand, on the server and in this process, in turn. FOLDER holds the Python
backend (`python/libtriton_python.so` …), whose Python must find latentsr; the server inherits this
process's environment. Server and backend are also in the wheel `nvidia-pytriton`. Needs
`tritonclient[grpc]`. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from machine import describe_machine
from tritonclient.utils import InferenceServerException

import latentsr
from latentsr.bundle import DEMO
from latentsr.deploy.triton import INPUT, OUTPUT, Serving, export_triton

HOST, PORT = "127.0.0.1", 18001
PATIENCE = 120.0


@contextmanager
def server(given: argparse.Namespace, models: Path) -> Iterator[triton.InferenceServerClient]:
    """A server with the models, ended at last."""
    command = [given.server, f"--model-repository={models}",
               f"--backend-directory={given.backends}", f"--grpc-address={HOST}",
               f"--grpc-port={PORT}", "--allow-http=false", "--allow-metrics=false"]  # fmt: skip
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield _ready(process, log)
        finally:
            process.terminate()
            process.wait()


def _ready(process: subprocess.Popen[bytes], log: Any) -> triton.InferenceServerClient:
    client, end = triton.InferenceServerClient(f"{HOST}:{PORT}"), time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            if client.is_server_ready():
                return client
        except InferenceServerException:
            pass
        time.sleep(0.2)
    log.seek(0)
    sys.exit(f"no server: {log.read()[-3000:]}")


def asker(client: triton.InferenceServerClient, model: str) -> Callable[[bytes], np.ndarray]:
    """Stream to picture, by the server."""

    def ask(stream: bytes) -> np.ndarray:
        tensor = triton.InferInput(INPUT, [len(stream)], "UINT8")
        tensor.set_data_from_numpy(np.frombuffer(stream, np.uint8))
        made: np.ndarray = client.infer(model, [tensor]).as_numpy(OUTPUT)
        return made

    return ask


def spoilt_are_errors(ask: Callable[[bytes], np.ndarray], stream: bytes) -> bool:
    flipped = bytearray(stream)
    flipped[len(stream) // 2] ^= 1
    for bad in (b"x", stream[:-5], bytes(flipped)):
        try:
            ask(bad)
        except InferenceServerException:
            continue
        return False
    return True


def measure(
    ask: Callable[[bytes], np.ndarray], here: Callable[[bytes], np.ndarray], stream: bytes,
    rounds: int,
) -> dict[str, float]:  # fmt: skip
    taken: dict[str, list[float]] = {"server": [], "here": []}
    for _ in range(rounds):
        for name, call in (("server", ask), ("here", here)):
            begin = time.perf_counter()
            call(stream)
            taken[name].append(1e3 * (time.perf_counter() - begin))
    return {name: round(statistics.median(values), 1) for name, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--backends", required=True)
    parser.add_argument("--bundle", default="demo")
    parser.add_argument("--route", default="latent_x4")
    parser.add_argument("--pictures", nargs="*", type=Path, default=[DEMO.parent / "coffee.png"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--note", default="", help="what is to be said of the server's Python")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as place,
        latentsr.load(given.bundle, threads=1) as codec,
    ):
        model = export_triton(given.bundle, Path(place) / "models", Serving(given.route)).name
        streams = [codec.encode(path) for path in given.pictures]
        expected = [codec.upscale(stream, given.route) for stream in streams]
        with server(given, Path(place) / "models") as client, ThreadPoolExecutor(4) as pool:
            ask = asker(client, model)
            alone = [np.array_equal(ask(s), e) for s, e in zip(streams, expected, strict=True)]
            together = [np.array_equal(made, expected[0])
                        for made in pool.map(ask, [streams[0]] * 12)]  # fmt: skip
            found = {
                "version": client.get_server_metadata().version, "equal": all(alone + together),
                "spoilt_are_errors": spoilt_are_errors(ask, streams[0]),
                "pictures": {
                    path.name: {"output": list(made.shape), "ms": measure(
                        ask, lambda s: codec.upscale(s, given.route), stream, given.rounds)}
                    for path, stream, made in zip(given.pictures, streams, expected, strict=True)
                },
            }  # fmt: skip
    result = {"machine": describe_machine("tritonclient"), "note": given.note, "route": given.route,
              **found}  # fmt: skip
    print(json.dumps(result, indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(not (found["equal"] and found["spoilt_are_errors"]))


if __name__ == "__main__":
    main()
