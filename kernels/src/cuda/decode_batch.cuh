// decode_batch.cuh - which part of which stream each block decodes, and what a stream comes to.
#pragma once

#include <cstdint>

#include "latentsr/cuda/calls.h"
#include "lanes_decode.cuh"

namespace latentsr::cuda {

// Device pointers; calls.h says what each must hold.
template <class Index>
struct DecodeBatch {
  LaneView tables;
  const LaneStream* streams;
  std::uint32_t stream_count;
  std::uint32_t most_parts;
  std::uint32_t skip;
  const std::uint8_t* data;
  const Index* indexes;
  std::int32_t* out;
  Result* part_results;  // stream_count * most_parts
  Result* results;       // stream_count
};

// On the host: the batch of a call whose indexes are of this type.
template <class Index>
DecodeBatch<Index> batch_of(const DecodeCall& call) {
  return {call.tables, call.streams,      call.stream_count,
          call.most_parts, call.skip,     call.data,
          static_cast<const Index*>(call.indexes),
          call.out,    call.part_results, call.results};
}

template <class Warp, class Index>
LATENTSR_DEVICE Result decode_part(const Warp& warp, const DecodeBatch<Index>& batch,
                                   const LaneStream& stream, std::uint32_t part,
                                   std::uint32_t* queue) {
  PartPlace place;
  const StreamHead head = read_head(batch.data + stream.data, stream.size, stream.count,
                                    batch.most_parts, part, place);
  if (head.fault.status != Status::ok) {
    return part == 0 ? head.fault : Result{};
  }
  if (part >= head.parts) {
    return {};
  }
  const PartJob<Index> job{place,
                           head.lanes,
                           head.has_side,
                           stream.size,
                           batch.skip,
                           batch.indexes + stream.first + place.first,
                           batch.out + stream.first + place.first};
  Result result = PartDecoder<Warp, Index>(warp, batch.tables, job, queue).run();
  if (result.status != Status::ok && result.status != Status::bad_start) {
    result.position += place.first;
  }
  return result;
}

// Block `block` of stream_count * most_parts. `queue` is shared memory for kQueue numbers.
template <class Warp, class Index>
LATENTSR_DEVICE void decode_block(const Warp& warp, const DecodeBatch<Index>& batch,
                                  std::uint32_t block, std::uint32_t* queue) {
  const LaneStream stream = batch.streams[block / batch.most_parts];
  const Result result = decode_part(warp, batch, stream, block % batch.most_parts, queue);
  warp.each([&](std::uint32_t lane) {
    if (lane == 0) {
      batch.part_results[block] = result;
    }
  });
}

// Sets symbols to 0: whoever comes next in the stream reads them, whatever became of them.
template <class Warp>
LATENTSR_DEVICE void clear_symbols(const Warp& warp, std::int32_t* out, std::uint64_t count) {
  for (std::uint64_t first = 0; first < count; first += kWarpLanes) {
    warp.each([&](std::uint32_t lane) {
      if (first + lane < count) {
        out[first + lane] = 0;
      }
    });
  }
}

// Block `block` of stream_count: the fault of the first part that has one is the stream's.
template <class Warp, class Index>
LATENTSR_DEVICE void first_fault(const Warp& warp, const DecodeBatch<Index>& batch,
                                 std::uint32_t block) {
  const std::uint32_t most_parts = batch.most_parts;
  const Result* parts = batch.part_results + static_cast<std::uint64_t>(block) * most_parts;
  std::uint32_t found = most_parts;
  for (std::uint32_t p = 0; p < most_parts && found == most_parts; p += kWarpLanes) {
    const std::uint32_t faults = warp.ballot([&](std::uint32_t lane) {
      return p + lane < most_parts && parts[p + lane].status != Status::ok;
    });
    found = faults != 0 ? p + lowest_bit(faults) : found;
  }
  warp.each([&](std::uint32_t lane) {
    if (lane == 0) {
      batch.results[block] = found < most_parts ? parts[found] : Result{};
    }
  });
  if (found < most_parts) {
    clear_symbols(warp, batch.out + batch.streams[block].first, batch.streams[block].count);
  }
}

}  // namespace latentsr::cuda
