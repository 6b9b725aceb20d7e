// status.h - how the kernels report what went wrong: a value, never an exception.
#pragma once

#include <cstddef>
#include <cstdint>

namespace latentsr {

enum class Status : int {
  ok = 0,
  bad_index,    // an index names no table row; detail = the index
  odd_size,     // the byte count is no multiple of 4; detail = the byte count
  truncated,    // the words ran out; detail = the byte count
  trailing,     // words are left after the last symbol; detail = the number of words left
  bad_start,    // the first two words are no coder state; detail = the state found
  bad_end,      // the last state is not the initial one; detail = the state found
  bad_escape,   // an escaped value is not one an encoder writes; detail = its group count
  not_a_number, // a scale is NaN
};

// Outcome of one call. `position` counts symbols (or scales), from 0.
struct Result {
  Status status = Status::ok;
  std::size_t position = 0;
  std::int64_t detail = 0;
};

}  // namespace latentsr
