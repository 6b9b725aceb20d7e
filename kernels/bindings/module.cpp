// module.cpp - latentsr._kernels: checks arrays, releases the GIL, hands statuses to Python.
#include "arrays.h"

using latentsr::Status;

NB_MODULE(_kernels, module) {
  // Objects that others hold to the interpreter's end are not freed before this module; a program's
  // last words should be its own.
  nb::set_leak_warnings(false);
  module.doc() = "Entropy coding on the processor. Use latentsr.entropy, which checks and words.";

  nb::enum_<Status>(module, "Status")
      .value("OK", Status::ok)
      .value("BAD_INDEX", Status::bad_index)
      .value("ODD_SIZE", Status::odd_size)
      .value("TRUNCATED", Status::truncated)
      .value("TRAILING", Status::trailing)
      .value("BAD_START", Status::bad_start)
      .value("BAD_END", Status::bad_end)
      .value("BAD_ESCAPE", Status::bad_escape)
      .value("NOT_A_NUMBER", Status::not_a_number)
      .value("BAD_HEADER", Status::bad_header)
      .value("TRAILING_SIDE", Status::trailing_side)
      .value("NOT_ZERO", Status::not_zero)
      .value("OUT_OF_RANGE", Status::out_of_range);

  bind_compressai(module);
  bind_compressai_stream(module);
  bind_context(module);
  bind_context_float(module);
  bind_lanes(module);
  bind_latents(module);
  bind_lists(module);
  bind_pixels(module);
}
