// emulated_coder.h - the CUDA coder of the `lanes` form, run block by block on a processor.
//
// Every array that a kernel may touch is a block of its own size, so that a sanitizer sees each
// access beside it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "../src/cuda/decode_batch.cuh"
#include "../src/cuda/encode_batch.cuh"
#include "coder_calls.h"
#include "host_warp.h"

namespace drivers {

namespace cuda = latentsr::cuda;

inline cuda::LaneView view_of(const latentsr::LaneTables& tables) {
  return {tables.lane_rows.data(),   tables.buckets.data(),
          tables.slots.data(),       tables.reciprocals.data(),
          tables.rows.data(),        static_cast<std::uint32_t>(tables.rows.size())};
}

// Blocks that follow each other find in shared memory what others left there.
using Queue = std::array<std::uint32_t, cuda::kQueue>;

// All blocks of a decode's two kernels, or of an encode's four, one after the other.
template <class Index>
void run_blocks(const cuda::DecodeBatch<Index>& batch) {
  Queue queue{};
  for (std::uint32_t block = 0; block < batch.stream_count * batch.most_parts; ++block) {
    cuda::decode_block(HostWarp(), batch, block, queue.data());
  }
  for (std::uint32_t block = 0; block < batch.stream_count; ++block) {
    cuda::first_fault(HostWarp(), batch, block);
  }
}

template <class Index>
void run_blocks(const cuda::EncodeBatch<Index>& batch) {
  const std::uint32_t parts = batch.target_count * batch.most_parts;
  Queue queue{};
  for (std::uint32_t block = 0; block < batch.target_count; ++block) {
    cuda::plan_block(HostWarp(), batch, block);
  }
  for (std::uint32_t block = 0; block < parts; ++block) {
    cuda::encode_block(HostWarp(), batch, block, queue.data());
  }
  for (std::uint32_t block = 0; block < batch.target_count; ++block) {
    cuda::head_block(HostWarp(), batch, block);
  }
  for (std::uint32_t block = 0; block < parts; ++block) {
    cuda::join_block(HostWarp(), batch, block);
  }
}

// Some streams with their indexes and, once decoded, their symbols.
template <class Index>
struct DecodedBatch {
  std::vector<cuda::LaneStream> streams;
  std::vector<std::uint8_t> data;
  std::vector<Index> indexes;
  std::vector<std::int32_t> symbols;
  std::vector<latentsr::Result> results;

  void add(const Bytes& stream, const std::vector<Index>& rows) {
    streams.push_back({data.size(), indexes.size(), static_cast<std::uint32_t>(stream.size()),
                       static_cast<std::uint32_t>(rows.size())});
    data.insert(data.end(), stream.begin(), stream.end());
    indexes.insert(indexes.end(), rows.begin(), rows.end());
  }

  void decode(const Tables& tables, std::uint32_t skip, std::uint32_t most_parts) {
    const auto count = static_cast<std::uint32_t>(streams.size());
    std::vector<latentsr::Result> parts(std::size_t{count} * most_parts);
    symbols = std::vector<std::int32_t>(indexes.size(), 7);  // as if others had been there
    results = std::vector<latentsr::Result>(count);
    const std::vector<std::uint8_t> bytes(data);  // copies have no room to spare
    const std::vector<Index> rows(indexes);
    run_blocks(cuda::DecodeBatch<Index>{view_of(tables.lanes), streams.data(), count, most_parts,
                                        skip, bytes.data(), rows.data(), symbols.data(),
                                        parts.data(), results.data()});
  }
};

// Some arrays of symbols and, once encoded, their streams.
template <class Index>
struct EncodedBatch {
  std::vector<cuda::LaneTarget> targets;
  std::vector<std::int32_t> symbols;
  std::vector<Index> indexes;
  std::vector<std::uint8_t> data;
  std::vector<cuda::LaneOutcome> outcomes;
  std::uint64_t room = 0;

  void add(const std::vector<std::int32_t>& values, const std::vector<Index>& rows,
           std::uint32_t lanes, std::uint32_t parts, std::uint32_t size) {
    targets.push_back({symbols.size(), room, size, static_cast<std::uint32_t>(values.size()),
                       lanes, parts});
    symbols.insert(symbols.end(), values.begin(), values.end());
    indexes.insert(indexes.end(), rows.begin(), rows.end());
    room += size;
  }

  void encode(const Tables& tables, std::uint32_t skip, std::uint32_t most_parts) {
    const auto count = static_cast<std::uint32_t>(targets.size());
    const std::vector<std::int32_t> values(symbols);
    const std::vector<Index> rows(indexes);
    std::vector<std::uint16_t> words(values.size());
    std::vector<std::uint8_t> side(5 * values.size());
    std::vector<cuda::PlanRecord> plans(count);
    std::vector<cuda::PartRecord> parts(std::size_t{count} * most_parts);
    data = std::vector<std::uint8_t>(room);
    outcomes = std::vector<cuda::LaneOutcome>(count);
    run_blocks(cuda::EncodeBatch<Index>{view_of(tables.lanes), targets.data(), count, most_parts,
                                        skip, values.data(), rows.data(), words.data(),
                                        side.data(), plans.data(), parts.data(), data.data(),
                                        outcomes.data()});
  }

  Bytes stream(std::size_t number) const {
    const auto first = data.begin() + static_cast<std::ptrdiff_t>(targets[number].room);
    return Bytes(first, first + static_cast<std::ptrdiff_t>(outcomes[number].size));
  }
};

}  // namespace drivers
