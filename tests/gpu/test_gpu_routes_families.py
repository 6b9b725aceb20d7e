"""Codecs of other families encoded on a device: means, skipped rows, passes, context models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_routes import Load, coded_by

pytest.importorskip("torch", reason="the exporter needs torch")
pytest.importorskip("compressai", reason="the exporter needs compressai")

from codec_cases import exported, made

ON_BOTH = {"z": True, "y": True}
CASES = {
    "bmshj2018-factorized": ({}, {"y": True}),
    "bmshj2018-hyperprior": ({}, ON_BOTH),
    "mbt2018-mean": ({}, ON_BOTH),
    "mbt2018-mean with skipped rows": ({"skip_scale": 0.3}, ON_BOTH),
    "mbt2018": ({}, ON_BOTH),
    "cheng2020-anchor": ({}, ON_BOTH),
}


@pytest.mark.parametrize("case", CASES)
def test_streams_are_those_of_the_processors_coder(
    load: Load, case: str, picture: np.ndarray, tmp_path: Path
) -> None:
    options: dict[str, Any]
    options, expected_by = CASES[case]
    bundle = exported(tmp_path / "codec.lsr", made(case.split(maxsplit=1)[0]), picture, **options)
    with load("cpu", bundle) as plain, load("cuda", bundle) as codec:
        assert bool(options) == any(chunk.skip for chunk in bundle.manifest.chunks)
        for image in (picture, picture[:33, :47]):
            expected = plain.encode(image)
            assert codec.encode(image) == expected
            assert coded_by(codec) == expected_by
            np.testing.assert_array_equal(codec.decode(expected), plain.decode(expected))


def test_each_pass_goes_by_what_the_device_restored(
    load: Load, picture: np.ndarray, tmp_path: Path
) -> None:
    """The next pass's scales come from the latent of this one."""
    bundle = exported(tmp_path / "codec.lsr", made("cheng2020-anchor-checkerboard"), picture)
    with load("cpu", bundle) as plain, load("cuda", bundle) as codec:
        expected = plain.encode(picture)
        assert codec.encode(picture) == expected
        assert len(coded_by(codec)) > 2 and all(coded_by(codec).values())
        np.testing.assert_array_equal(codec.decode(expected), plain.decode(expected))
