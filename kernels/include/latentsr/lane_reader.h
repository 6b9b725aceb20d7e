// lane_reader.h - a stream of the `lanes` form read in pieces, as models need that predict the
// next symbols from those before. See rans_lanes.h for the form.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/lane_tables.h"
#include "latentsr/rans_lanes.h"
#include "latentsr/status.h"

namespace latentsr {

// One stream of one part, without certain rows. Any split of the symbols into reads gives the
// symbols, and the fault, that decode_lanes() gives for all of them at once; whole turns are as
// fast. Tables and data must outlive the reader. One thread at a time.
class LaneReader {
 public:
  // Begins a stream of `size` bytes. Streams of several parts are refused with bad_header: their
  // parts hold symbols that are far apart, so nobody could decode the first ones in order.
  // `isa` must be supported.
  Result open(const LaneTables& tables, const std::uint8_t* data, std::size_t size, Isa isa);

  // Decodes the next `count` symbols. Reads no byte outside the stream and writes only
  // out[0, count), whatever the bytes are. Positions of faults count from the stream's first
  // symbol. After a fault, every read and close() say so again.
  Result read(const std::uint8_t* indexes, std::size_t count, std::int32_t* out);

  // Whether the stream ends here, as it must after the last symbol.
  Result close();

 private:
  const LaneTables* tables_ = nullptr;
  Isa isa_ = Isa::scalar;
  std::uint32_t lanes_ = 1;
  std::uint32_t turn_ = 0;         // lane of the next symbol
  std::uint32_t states_[kMaxLanes] = {};  // from that lane on, and then from lane 0
  const std::uint8_t* word_ = nullptr;
  const std::uint8_t* words_end_ = nullptr;
  const std::uint8_t* side_ = nullptr;
  const std::uint8_t* side_end_ = nullptr;
  std::int64_t bytes_ = 0;
  std::size_t position_ = 0;  // symbols read
  Result fault_{Status::truncated, 0, 0};  // until a stream is opened
};

}  // namespace latentsr
