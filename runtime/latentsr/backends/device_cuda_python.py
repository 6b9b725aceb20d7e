"""The GPU by cuda-python: NVIDIA's own bindings of the driver API (`cuda.bindings.driver`)."""

from __future__ import annotations

from latentsr.backends.device_driver import DriverDevice
from latentsr.errors import BackendError


class CudaPythonDevice(DriverDevice):
    """Raises ImportError where cuda-python is not installed, BackendError without a driver."""

    def __init__(self, index: int) -> None:
        from cuda import bindings
        from cuda.bindings import driver

        try:
            super().__init__(driver, f"cuda-python {bindings.__version__}", index)
        except RuntimeError as error:  # how cuda-python says that there is no driver library
            raise BackendError(f"CUDA has no driver here: found {error}") from None
