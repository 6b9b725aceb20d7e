"""Model repositories for Triton: the configuration by Triton's own schema, the model at work.

No server runs here: `triton_stand_in` takes the place of the module that the server provides.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latentsr as package
import triton_stand_in
from command_line import latentsr
from latentsr.deploy import triton_model
from latentsr.deploy.triton import Serving, _quoted, export_triton
from latentsr.errors import BundleError, UsageError


def read_config(path: Path) -> Any:
    """The configuration, read by Triton's own protobuf schema."""
    schema = pytest.importorskip(
        "tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed"
    )
    from google.protobuf import text_format

    return text_format.Parse(path.read_text(), schema.ModelConfig())


@pytest.fixture(params=["NumPy 1", "NumPy 2"])
def model(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The model as the server would start it; one built before NumPy 2, on either."""
    from google.protobuf import json_format

    monkeypatch.setattr(triton_model, "by_dlpack", lambda: request.param == "NumPy 2")
    monkeypatch.setattr(triton_stand_in.Tensor, "misreads", request.param == "NumPy 2")

    folder = export_triton("demo", tmp_path / "repository")
    config = read_config(folder / "config.pbtxt")
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", triton_stand_in)
    spec = importlib.util.spec_from_file_location("model", folder / "1" / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.TritonPythonModel()
    made.initialize(
        {
            "model_config": json_format.MessageToJson(config, preserving_proto_field_name=True),
            "model_instance_kind": "CPU", "model_instance_name": "demo_0_0",
            "model_instance_device_id": "0", "model_repository": str(folder),
            "model_version": "1", "model_name": folder.name,
        }
    )  # fmt: skip
    yield made
    made.finalize()


def request(data: bytes) -> triton_stand_in.InferenceRequest:
    tensor = triton_stand_in.Tensor("STREAM", np.zeros(len(data), np.uint8))
    tensor.held = np.frombuffer(bytearray(data), np.uint8)  # as it came over the network
    return triton_stand_in.InferenceRequest([tensor])


def test_the_configuration_is_triton_s(tmp_path: Path) -> None:
    serving = Serving("bicubic", "some-model.1", 3, 2)
    folder = export_triton("demo", tmp_path, serving)
    config = read_config(folder / "config.pbtxt")
    assert (config.name, config.backend, config.max_batch_size) == ("some-model.1", "python", 0)
    assert folder.name == config.name  # Triton insists on it
    schema = type(config.input[0]).DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name
    (given,), (made,) = config.input, config.output
    assert (given.name, given.data_type) == ("STREAM", schema["TYPE_UINT8"].number)
    assert (made.name, made.data_type) == ("PICTURE", schema["TYPE_UINT8"].number)
    assert (list(given.dims), list(made.dims)) == ([-1], [-1, -1, 3])
    (group,) = config.instance_group
    assert (group.count, group.kind) == (3, group.KIND_CPU)
    setting = {name: value.string_value for name, value in config.parameters.items()}
    assert setting == {
        "route": "bicubic", "backend": "ort", "threads": "2", "precision": "fp32"
    }  # fmt: skip


def test_the_model_makes_the_runtime_s_pictures(model: Any, picture: np.ndarray) -> None:
    with package.load("demo", threads=1) as codec:
        streams = [codec.encode(picture[:height]) for height in (101, 40, 64)]
        responses = model.execute([request(stream) for stream in streams])
        for stream, response in zip(streams, responses, strict=True):
            (tensor,) = response.output_tensors()
            assert tensor.name() == "PICTURE" and not response.has_error()
            assert np.array_equal(tensor.held, codec.upscale(stream))


def test_a_bad_stream_is_its_own_request_s_error(model: Any, picture: np.ndarray) -> None:
    with package.load("demo", threads=1) as codec:
        whole = codec.encode(picture[:40, :50])
    found = model.execute([request(whole), request(whole[:-9]), request(b""), request(whole)])
    assert [response.has_error() for response in found] == [False, True, True, False]
    assert "expected" in found[1].error().message() and not found[1].output_tensors()
    assert np.array_equal(*(found[n].output_tensors()[0].held for n in (0, 3)))


def test_command_line(tmp_path: Path) -> None:
    done = latentsr("export-triton", "demo", "-o", "models", "--name", "m", cwd=tmp_path)
    assert done.stdout.startswith("models/m: ")
    files = {str(p.relative_to(tmp_path)) for p in (tmp_path / "models").rglob("*") if p.is_file()}
    assert {"models/m/config.pbtxt", "models/m/1/model.py"} <= files
    assert "models/m/1/bundle.lsr/manifest.json" in files
    done = latentsr("export-triton", "demo", "-o", "models", "--name", "m", cwd=tmp_path, code=2)
    assert "is there already" in done.stderr
    done = latentsr("export-triton", "demo", "-o", "models", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["model"] == "demo_latent_x4"
    assert not list((tmp_path / "models").glob(".*"))


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        (Serving(name="../out"), "model name is wrong"),
        (Serving(name="a/b"), "model name is wrong"),
        (Serving(route="encode"), "no such decode route"),
        (Serving(threads=0), "threads: found 0"),
        (Serving(instances=-1), "instances: found -1"),
        (Serving(backend="abacus"), "no such backend: found 'abacus'"),
        (Serving(backend="abacus:cuda"), "no such backend: found 'abacus'"),
        (Serving(precision="fp16"), "no graphs in fp16"),
        (Serving(precision="fp17"), "no such precision"),
    ],
)
def test_wrong_options_write_nothing(tmp_path: Path, serving: Serving, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export_triton("demo", tmp_path / "models", serving)
    with pytest.raises(BundleError):
        export_triton(tmp_path / "none.lsr", tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_strings_are_quoted_as_protobuf_reads_them() -> None:
    pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="tritonclient is missing")
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    for text in ('a"b\\c', "é\n\t0", "plain_1.x"):
        config = text_format.Parse(f"name: {_quoted(text)}", model_config_pb2.ModelConfig())
        assert config.name == text
