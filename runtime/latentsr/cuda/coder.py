"""DeviceCoder: the `lanes` form on a CUDA device, stream for stream as `Coder` has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latentsr._kernels import Status
from latentsr.cuda.batch import (
    OUTCOME,
    RESULT,
    DecodeArrays,
    DecodePlan,
    EncodeArrays,
    EncodePlan,
    check_index_bytes,
)
from latentsr.cuda.module import compiled, launching
from latentsr.entropy.faults import bad_index, corruption
from latentsr.entropy.tables import Tables
from latentsr.errors import LatentSRError, UsageError


class DeviceCoder:
    """Encodes and decodes batches with one set of tables, a warp for each part of a stream.

    The tables must be in device memory: copy `packed` to an address that is a multiple of 16 and
    bring that address with each call. Making a coder takes no device.

    Args:
        tables, skip: as for `Coder`.

    Raises:
        BackendError: this build has no CUDA kernels.
        UsageError: the tables have another precision than 16, or fewer rows than `skip`.
    """

    def __init__(self, tables: Tables, skip: int = 0) -> None:
        if tables.precision != 16:
            raise UsageError(f"tables: found precision {tables.precision}, expected 16")
        if not 0 <= skip <= tables.rows:
            raise UsageError(f"skip: found {skip}, expected 0 to {tables.rows}, rows of the tables")
        self.rows = tables.rows
        self.skip = skip
        self.native = compiled().PackedTables(tables.cdf, tables.length, tables.offset)
        self.packed: NDArray[np.uint8] = np.frombuffer(self.native.bytes, np.uint8)

    def decode(
        self, plan: DecodePlan, at: DecodeArrays, index_bytes: int = 1, stream: int = 0
    ) -> None:
        """Start decoding a batch.

        Args:
            plan: what the batch holds.
            at: where its arrays are.
            index_bytes: 1 for uint8 indexes, 4 for int32.
            stream: handle of the CUDA stream.

        Raises:
            BackendError: CUDA refused the launch.
            UsageError: index_bytes is something else.
        """
        check_index_bytes(index_bytes)
        with launching("decoding"):
            self.native.decode(
                at.tables, at.streams, plan.streams.size, plan.most_parts, self.skip, at.data,
                at.indexes, index_bytes, at.out, at.part_results, at.results, stream,
            )  # fmt: skip

    def encode(
        self, plan: EncodePlan, at: EncodeArrays, index_bytes: int = 1, stream: int = 0
    ) -> None:
        """Start encoding a batch; arguments and errors as for `decode`."""
        check_index_bytes(index_bytes)
        with launching("encoding"):
            self.native.encode(
                at.tables, at.targets, plan.targets.size, plan.most_parts, self.skip, at.symbols,
                at.indexes, index_bytes, plan.symbols, at.scratch, at.data, at.outcomes, stream,
            )  # fmt: skip

    def faults(self, results: NDArray[np.void]) -> list[LatentSRError | None]:
        """The error of each stream of a decoded batch, as `Coder.decode` would raise it, or None.

        Args:
            results: `RESULT` (streams,), copied from the device.
        """
        return [self._fault(one) for one in results.astype(RESULT, copy=False)]

    def encode_faults(self, outcomes: NDArray[np.void]) -> list[LatentSRError | None]:
        """The error of each stream of an encoded batch, as `Coder.encode` would raise it, or None.

        A stream that its room does not hold is a UsageError, too.

        Args:
            outcomes: `OUTCOME` (streams,), copied from the device.
        """
        found: list[LatentSRError | None] = []
        for one in outcomes.astype(OUTCOME, copy=False):
            if Status(int(one["result"]["status"])) == Status.TRUNCATED:
                found.append(
                    UsageError(
                        f"room for a stream: found {one['result']['detail']} bytes, expected "
                        f"{one['size']}; plan with more room"
                    )
                )
            else:
                found.append(self._fault(one["result"]))
        return found

    def _fault(self, result: np.void) -> LatentSRError | None:
        status = Status(int(result["status"]))
        position, detail = int(result["position"]), int(result["detail"])
        if status == Status.OK:
            return None
        if status == Status.BAD_INDEX:
            return bad_index(position, detail, self.rows)
        if status == Status.NOT_ZERO:
            return UsageError(
                f"symbols, element {position}: found {detail}, expected 0, because its row lies "
                f"below skip = {self.skip}"
            )
        return corruption("lanes", status, position, detail)
