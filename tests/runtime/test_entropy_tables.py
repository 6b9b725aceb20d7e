"""Tables refuse what is no distribution, and name the fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from entropy_cases import gaussian_tables
from latentsr.entropy import Tables
from latentsr.errors import BundleError

GOOD = {"cdf": [[0, 9, 65536, 0], [0, 1, 2, 65536]], "length": [3, 4], "offset": [0, -1]}


def test_smallest_row_is_one_value_and_the_escape():
    tables = Tables(**GOOD)
    assert tables.rows == 2
    assert tables.cdf.dtype == tables.length.dtype == tables.offset.dtype == np.int32


def test_other_precisions_are_held():
    assert Tables([[0, 3, 4]], [3], [0], precision=2).precision == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cdf": [[0, 9, 65535, 0], [0, 1, 2, 65536]]}, "row 0: found 65535 as last entry"),
        ({"cdf": [[0, 9, 65536, 0], [0, 2, 2, 65536]]}, "row 1: found 0 as smallest step"),
        ({"cdf": [[0, 9, 65536, 0], [0, 5, 2, 65536]]}, "row 1: found -3 as smallest step"),
        ({"cdf": [[1, 9, 65536, 0], [0, 1, 2, 65536]]}, "row 0: found 1 as first entry"),
        ({"cdf": [0, 9, 65536]}, "cdf: found int64 with 1 dimensions"),
        ({"cdf": np.zeros((0, 4), np.int32), "length": [], "offset": []}, "length: found float64"),
        ({"cdf": [[0.0, 9.0, 65536.0]]}, "cdf: found float64"),
        ({"cdf": np.array([[0, 9, 2**40]])}, "cdf: found values beyond 32 bits"),
        ({"length": [2, 4]}, "row 0: found 2 as length"),
        ({"length": [3, 5]}, "row 1: found 5 as length"),
        ({"length": [3, -1]}, "row 1: found -1 as length"),
        ({"length": [3]}, "length: found 1 elements, expected 2"),
        ({"offset": [0, 0, 0]}, "offset: found 3 elements, expected 2"),
        ({"offset": [0, -(2**24) - 1]}, "row 1: found -16777217 as offset"),
        ({"offset": [0, -(2**31)]}, "row 1: found -2147483648 as offset"),
        ({"precision": 17}, "precision 17"),
        ({"precision": 1}, "precision 1"),
    ],
)
def test_faults_are_named(change: dict[str, object], message: str):
    with pytest.raises(BundleError, match=message):
        Tables(**{**GOOD, **change})


def test_no_rows_and_no_columns_are_refused():
    none = np.zeros(0, np.int32)
    with pytest.raises(BundleError, match="no rows"):
        Tables(np.zeros((0, 4), np.int32), none, none)
    with pytest.raises(BundleError, match="length"):
        Tables(np.zeros((1, 0), np.int32), [0], [0])


def test_arrays_are_private_and_read_only():
    cdf = np.array(GOOD["cdf"], np.int32)
    tables = Tables(cdf, GOOD["length"], GOOD["offset"])
    cdf[0, 1] = 0
    assert tables.cdf[0, 1] == 9
    with pytest.raises(ValueError, match="read-only"):
        tables.cdf[0, 1] = 0


def test_digest_follows_meaning_not_padding():
    digest = Tables(**GOOD).digest()
    assert digest == "efea85599c26e148f60ec2579c12c809ff95799854c61e3aa8f50f48fe282e34"
    padded = {**GOOD, "cdf": [[0, 9, 65536, 7, 7], [0, 1, 2, 65536, 7]]}
    assert Tables(**padded).digest() == digest
    for change in ({"offset": [0, 0]}, {"cdf": [[0, 8, 65536, 0], [0, 1, 2, 65536]]}):
        assert Tables(**{**GOOD, **change}).digest() != digest


def test_gaussian_rows_are_distributions():
    assert gaussian_tables().rows == 64


def test_tables_of_trained_codecs_are_accepted(data_dir: Path):
    files = sorted((data_dir / "weights" / "compressai_cdf_tables").glob("*.npz"))
    if not files:
        pytest.skip("no compressai_cdf_tables in the test data")
    for file in files:
        with np.load(file) as held:
            tables = Tables(held["_quantized_cdf"], held["_cdf_length"], held["_offset"])
        assert tables.rows == tables.cdf.shape[0]
        assert len(tables.digest()) == 64
