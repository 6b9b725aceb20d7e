// status.h - how the kernels report what went wrong: a value, never an exception.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr {

enum class Status : int {
  ok = 0,
  bad_index,    // an index names no table row; detail = the index
  odd_size,     // the words do not fill the byte count; detail = the byte count
  truncated,    // the words ran out; detail = the byte count
  trailing,     // words are left after the last symbol; detail = the number of words left
  bad_start,    // a first state is no coder state; detail = the state, position = its lane
  bad_end,      // the last state is not the initial one; detail = the state found
  bad_escape,   // an escaped value is not one an encoder writes; detail = its group count,
                // for `lanes` its bytes, 0 where they are cut off or no valid spelling
  not_a_number, // a scale is NaN
  bad_header,   // `lanes`: the first byte names no count of lanes or parts; detail = the byte, or
                // -1 where it is a length that has no valid spelling; several parts where a
                // stream is read in pieces
  trailing_side,  // `lanes`: side bytes are left after the last symbol; detail = their number
  not_zero,       // `lanes`: a symbol of a certain row is not 0; detail = the symbol
  out_of_range,   // a latent less its mean is NaN or beyond what is coded
};

// Outcome of one call. `position` counts symbols (or scales, or latents), from 0.
struct Result {
  Status status = Status::ok;
  std::size_t position = 0;
  std::int64_t detail = 0;
};

}  // namespace latentsr
