// encode_batch.cuh - the four steps of an encode: plan, code the parts, lay them out, join them.
#pragma once

#include <cstdint>

#include "latentsr/cuda/calls.h"
#include "encode_room.h"
#include "lane_head.cuh"
#include "lane_plan.cuh"
#include "lanes_encode.cuh"

namespace latentsr::cuda {

// Device pointers; calls.h says what each must hold.
template <class Index>
struct EncodeBatch {
  LaneView tables;
  const LaneTarget* targets;
  std::uint32_t target_count;
  std::uint32_t most_parts;
  std::uint32_t skip;
  const std::int32_t* symbols;
  const Index* indexes;
  std::uint16_t* words;   // one for each symbol of all targets
  std::uint8_t* side;     // 5 bytes for each
  PlanRecord* plans;      // target_count
  PartRecord* parts;      // target_count * most_parts
  std::uint8_t* data;
  LaneOutcome* outcomes;  // target_count
};

// On the host: the batch of a call whose indexes are of this type.
template <class Index>
EncodeBatch<Index> batch_of(const EncodeCall& call) {
  const EncodeRoom at = encode_room(call.symbol_count, call.target_count, call.most_parts);
  auto* scratch = static_cast<std::uint8_t*>(call.scratch);
  return {call.tables,
          call.targets,
          call.target_count,
          call.most_parts,
          call.skip,
          call.symbols,
          static_cast<const Index*>(call.indexes),
          reinterpret_cast<std::uint16_t*>(scratch + at.words),
          scratch + at.side,
          reinterpret_cast<PlanRecord*>(scratch),
          reinterpret_cast<PartRecord*>(scratch + at.parts),
          call.data,
          call.outcomes};
}

// Block `block` of target_count.
template <class Warp, class Index>
LATENTSR_DEVICE void plan_block(const Warp& warp, const EncodeBatch<Index>& batch,
                                std::uint32_t block) {
  const LaneTarget target = batch.targets[block];
  const PlanRecord plan = plan_stream(warp, batch.tables, batch.symbols + target.first,
                                      batch.indexes + target.first, target, batch.skip,
                                      batch.most_parts);
  warp.each([&](std::uint32_t lane) {
    if (lane == 0) {
      batch.plans[block] = plan;
    }
  });
}

// Block `block` of target_count * most_parts. `queue` is shared memory for kQueue numbers.
template <class Warp, class Index>
LATENTSR_DEVICE void encode_block(const Warp& warp, const EncodeBatch<Index>& batch,
                                  std::uint32_t block, std::uint32_t* queue) {
  const LaneTarget target = batch.targets[block / batch.most_parts];
  const PlanRecord plan = batch.plans[block / batch.most_parts];
  const std::uint32_t part = block % batch.most_parts;
  if (part >= plan.parts) {
    return;
  }
  PartPlace place;
  set_symbols(place, target.count, plan.parts, part);
  const std::uint64_t first = target.first + place.first;
  const EncodeJob<Index> job{place.count,           plan.lanes,           batch.skip,
                             batch.symbols + first, batch.indexes + first, batch.words + first,
                             batch.side + 5 * first};
  PartEncoder<Warp, Index>(warp, batch.tables, job).run(queue, batch.parts[block]);
}

// What the parts of one stream add up to.
struct StreamSize {
  std::uint64_t head = 1;
  std::uint64_t body = 0;
};

LATENTSR_DEVICE std::uint32_t record_size(const PartRecord& record, const PlanRecord& plan) {
  return (plan.has_side != 0 ? number_size(record.side) : 0) + 4 * plan.lanes +
         2 * record.words + record.side;
}

LATENTSR_DEVICE void put_number(std::uint8_t* at, std::uint64_t number) {
  for (; number >= 128; number >>= 7) {
    *at++ = static_cast<std::uint8_t>(number | 128);
  }
  *at = static_cast<std::uint8_t>(number);
}

// Visits the parts in groups of a warp and adds up their sizes. With `data`, writes their
// lengths there and their offsets into the records; `head` is then the size of the head.
template <class Warp>
LATENTSR_DEVICE StreamSize lay_out(const Warp& warp, const PlanRecord& plan, PartRecord* records,
                                   std::uint64_t head, std::uint8_t* data) {
  StreamSize size;
  for (std::uint32_t p = 0; p < plan.parts; p += kWarpLanes) {
    typename Warp::template PerLane<std::uint64_t> bodies{};
    typename Warp::template PerLane<std::uint64_t> heads{};
    warp.each([&](std::uint32_t lane) {
      const std::uint32_t part = p + lane;
      bodies[lane] = part < plan.parts ? record_size(records[part], plan) : 0;
      heads[lane] = part + 1 < plan.parts ? number_size(bodies[lane]) : 0;
    });
    const auto bodies_below = warp.sums_below(bodies);
    const auto heads_below = warp.sums_below(heads);
    if (data != nullptr) {
      warp.each([&](std::uint32_t lane) {
        if (p + lane < plan.parts) {
          records[p + lane].offset =
              static_cast<std::uint32_t>(head + size.body + bodies_below[lane]);
        }
        if (heads[lane] != 0) {
          put_number(data + size.head + heads_below[lane], bodies[lane]);
        }
      });
    }
    size.body += warp.sum(bodies);
    size.head += warp.sum(heads);
  }
  return size;
}

// The part whose fault encode_lanes() reports, the last one that has any, or `parts`; and
// whether any part has a side section.
template <class Warp>
LATENTSR_DEVICE std::uint32_t last_fault(const Warp& warp, PlanRecord& plan,
                                         const PartRecord* records) {
  std::uint32_t found = plan.parts;
  for (std::uint32_t p = 0; p < plan.parts; p += kWarpLanes) {
    const auto mine = [&](std::uint32_t lane) { return p + lane < plan.parts; };
    const std::uint32_t faults = warp.ballot([&](std::uint32_t lane) {
      return mine(lane) && records[p + lane].result.status != Status::ok;
    });
    const std::uint32_t sides = warp.ballot(
        [&](std::uint32_t lane) { return mine(lane) && records[p + lane].side != 0; });
    found = faults != 0 ? p + highest_bit(faults) : found;
    plan.has_side |= sides != 0 ? 1 : 0;
  }
  return found;
}

// Block `block` of target_count: the head of a stream, its size, its parts' offsets.
template <class Warp, class Index>
LATENTSR_DEVICE void head_block(const Warp& warp, const EncodeBatch<Index>& batch,
                                std::uint32_t block) {
  const LaneTarget target = batch.targets[block];
  PlanRecord plan = batch.plans[block];
  PartRecord* records = batch.parts + static_cast<std::uint64_t>(block) * batch.most_parts;
  std::uint8_t* data = batch.data + target.room;
  LaneOutcome outcome{{}, 0};
  const std::uint32_t fault = last_fault(warp, plan, records);
  if (fault != plan.parts) {
    PartPlace place;
    set_symbols(place, target.count, plan.parts, fault);
    outcome.result = records[fault].result;
    outcome.result.position += place.first;
  } else {
    const StreamSize size = lay_out(warp, plan, records, 0, nullptr);
    outcome.size = size.head + size.body;
    if (outcome.size > target.size) {
      outcome.result = {Status::truncated, 0, static_cast<std::int64_t>(target.size)};
    } else {
      plan.fits = 1;
      lay_out(warp, plan, records, size.head, data);
    }
  }
  warp.each([&](std::uint32_t lane) {
    if (lane == 0) {
      batch.outcomes[block] = outcome;
      batch.plans[block] = plan;
      if (plan.fits != 0) {
        data[0] = static_cast<std::uint8_t>(lowest_bit(plan.lanes) | (plan.has_side != 0 ? 0 : 8) |
                                            lowest_bit(plan.parts) << 4);
      }
    }
  });
}

// Block `block` of target_count * most_parts: copies one part to its place.
template <class Warp, class Index>
LATENTSR_DEVICE void join_block(const Warp& warp, const EncodeBatch<Index>& batch,
                                std::uint32_t block) {
  const LaneTarget target = batch.targets[block / batch.most_parts];
  const PlanRecord plan = batch.plans[block / batch.most_parts];
  const std::uint32_t part = block % batch.most_parts;
  if (plan.fits == 0 || part >= plan.parts) {
    return;
  }
  const PartRecord& record = batch.parts[block];
  PartPlace place;
  set_symbols(place, target.count, plan.parts, part);
  const std::uint64_t end = target.first + place.first + place.count;
  const std::uint16_t* words = batch.words + end - record.words;
  const std::uint8_t* side = batch.side + 5 * end - record.side;
  const std::uint32_t number = plan.has_side != 0 ? number_size(record.side) : 0;
  std::uint8_t* states_at = batch.data + target.room + record.offset + number;
  std::uint8_t* words_at = states_at + 4 * plan.lanes;
  std::uint8_t* side_at = words_at + 2 * static_cast<std::uint64_t>(record.words);
  warp.each([&](std::uint32_t lane) {
    if (lane == 0 && number != 0) {
      put_number(states_at - number, record.side);
    }
    for (std::uint32_t i = lane; i < 4 * plan.lanes; i += kWarpLanes) {
      states_at[i] = static_cast<std::uint8_t>(record.states[i / 4] >> (8 * (i % 4)));
    }
    for (std::uint32_t i = lane; i < record.words; i += kWarpLanes) {
      words_at[2 * static_cast<std::uint64_t>(i)] = static_cast<std::uint8_t>(words[i]);
      words_at[2 * static_cast<std::uint64_t>(i) + 1] = static_cast<std::uint8_t>(words[i] >> 8);
    }
    for (std::uint32_t i = lane; i < record.side; i += kWarpLanes) {
      side_at[i] = side[i];
    }
  });
}

}  // namespace latentsr::cuda
