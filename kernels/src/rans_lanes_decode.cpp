// rans_lanes_decode.cpp - reads the `lanes` form, trusting no byte of it. See rans_lanes.h.
//
// Here are a part's head, its escaped values and its end; the symbols are the work of the scalar
// and SIMD functions in rans_lanes_job.h.
#include "latentsr/rans_lanes.h"

#include <bit>
#include <cstring>
#include <limits>
#include <memory>

#include "certain_rows.h"
#include "lane_layout.h"
#include "parallel.h"
#include "rans_lanes_job.h"

namespace latentsr {

static_assert(std::endian::native == std::endian::little, "states are loaded in host order");

template <class Index>
Result open_job(LaneJob<Index>& job, const LaneTables& tables, const std::uint8_t* at,
                std::size_t size, bool has_side, std::int64_t bytes) {
  job.lane_rows = tables.lane_rows.data();
  job.buckets = tables.buckets.data();
  job.slots = tables.slots.data();
  job.rows = tables.rows.data();
  job.row_count = static_cast<std::uint32_t>(tables.rows.size());
  const std::uint8_t* end = at + size;
  std::uint64_t side = 0;
  if (has_side && take_varint(at, end, side) == 0) {
    return {at == end ? Status::truncated : Status::bad_header, 0, at == end ? bytes : -1};
  }
  const auto left = static_cast<std::size_t>(end - at);
  const std::size_t states = 4 * std::size_t{job.lanes};
  if (left < states || left - states < side) {
    return {Status::truncated, 0, bytes};
  }
  if ((left - states - side) % 2 != 0) {
    return {Status::odd_size, 0, bytes};
  }
  std::memcpy(job.states, at, states);
  job.word = at + states;
  job.words_end = job.side = end - side;
  job.side_end = end;
  for (std::uint32_t lane = 0; lane < job.lanes; ++lane) {
    if (job.states[lane] < kLaneLow) {
      return {Status::bad_start, lane, job.states[lane]};
    }
  }
  return {};
}

template <class Index>
Result check_end(const LaneJob<Index>& job) {
  if (job.word != job.words_end) {
    return {Status::trailing, job.count, (job.words_end - job.word) / 2};
  }
  if (job.side != job.side_end) {
    return {Status::trailing_side, job.count, job.side_end - job.side};
  }
  for (std::uint32_t lane = 0; lane < job.lanes; ++lane) {
    if (job.states[lane] != kLaneLow) {
      return {Status::bad_end, job.count, job.states[lane]};
    }
  }
  return {};
}

template <class Index>
bool decode_job(LaneJob<Index>& job, [[maybe_unused]] Isa isa, std::int64_t bytes) {
#ifdef LATENTSR_X86_KERNELS
  if (isa == Isa::avx512 && job.lanes % 16 == 0) {
    decode_turns_avx512(job);
  } else if (isa != Isa::scalar && job.lanes % 8 == 0) {
    decode_turns_avx2(job);  // every processor with AVX-512 has it
  }
#elif defined(LATENTSR_NEON_KERNELS)
  if (isa == Isa::neon && job.lanes % 4 == 0) {
    decode_turns_neon(job);
  }
#endif
  return job.fault.status == Status::ok && decode_turns_scalar(job) && decode_rest(job, bytes);
}

namespace {

// Brings the buckets into the cache in one sweep when the symbols will touch most of them anyway.
// A picture is decoded after networks have run, so the tables have left the cache, and missing
// them line by line would take longer than all the rest.
void warm(const LaneTables& tables, std::size_t count) {
  const std::size_t entries = tables.buckets.size();
  if (count < entries) {
    return;
  }
#ifdef __GNUC__
  for (std::size_t i = 0; i < entries; i += 8) {
    __builtin_prefetch(&tables.buckets[i]);
  }
#endif
}

}  // namespace

template <class Index>
bool resolve_escapes(LaneJob<Index>& job, std::size_t first, std::uint32_t mask) {
  for (; mask != 0; mask &= mask - 1) {
    const std::size_t i = first + static_cast<std::size_t>(std::countr_zero(mask));
    const CdfRow& row = job.rows[static_cast<std::size_t>(job.indexes[i])];
    std::uint64_t raw = 0;
    const int taken = take_varint(job.side, job.side_end, raw);
    const auto half = static_cast<std::int64_t>(raw >> 1);
    const std::int64_t value = ((raw & 1) != 0 ? -half - 1 : half + row.escape) + row.offset;
    if (taken == 0 || value < std::numeric_limits<std::int32_t>::min() ||
        value > std::numeric_limits<std::int32_t>::max()) {
      job.fault = {Status::bad_escape, i, taken};
      return false;
    }
    job.out[i] = static_cast<std::int32_t>(value);
  }
  return true;
}

template bool resolve_escapes(LaneJob<std::uint8_t>&, std::size_t, std::uint32_t);
template bool resolve_escapes(LaneJob<std::int32_t>&, std::size_t, std::uint32_t);

// What LaneReader needs; the other kind of indexes is instantiated by use, below.
template Result open_job(LaneJob<std::uint8_t>&, const LaneTables&, const std::uint8_t*,
                         std::size_t, bool, std::int64_t);
template bool decode_job(LaneJob<std::uint8_t>&, Isa, std::int64_t);
template Result check_end(const LaneJob<std::uint8_t>&);

namespace {

// What all parts of one stream have in common.
struct Whole {
  const LaneTables& tables;
  const LaneLayout& layout;
  LaneDecoding how;
  std::int64_t bytes;
};

template <class Index>
Result decode_symbols(const Whole& whole, const LanePart& part, const Index* indexes,
                      std::size_t count, std::int32_t* out) {
  LaneJob<Index> job{};
  job.lanes = whole.layout.lanes;
  job.indexes = indexes;
  job.out = out;
  job.count = count;
  const Result opened = open_job(job, whole.tables, part.data, part.size, whole.layout.has_side,
                                 whole.bytes);
  if (opened.status != Status::ok) {
    return opened;
  }
  if (!decode_job(job, whole.how.isa, whole.bytes)) {
    return job.fault;
  }
  return check_end(job);
}

// `indexes` and `out` are the part's own. Symbols that are not certain are decoded to the end of
// `out` and moved to their places from there.
template <class Index>
Result decode_part(const Whole& whole, const LanePart& part, const Index* indexes,
                   std::int32_t* out) {
  if (whole.how.skip == 0) {
    return decode_symbols(whole, part, indexes, part.count, out);
  }
  const std::unique_ptr<Index[]> kept(new Index[part.count]);
  const std::size_t count = keep_indexes(indexes, part.count, whole.how.skip, kept.get(),
                                         whole.how.isa);
  Result result =
      decode_symbols(whole, part, kept.get(), count, out + (part.count - count));
  if (result.status == Status::ok) {
    spread_symbols(indexes, part.count, whole.how.skip, count, out, whole.how.isa);
  } else if (result.status != Status::bad_start) {  // whose position is a lane
    result.position = place_of_kept(indexes, part.count, whole.how.skip, result.position);
  }
  return result;
}

}  // namespace

template <class Index>
Result decode_lanes(const LaneTables& tables, const std::uint8_t* data, std::size_t size,
                    const Index* indexes, std::size_t count, std::int32_t* out,
                    const LaneDecoding& how) {
  LaneLayout layout;
  const Result read = read_layout(data, size, count, layout);
  if (read.status != Status::ok) {
    return read;
  }
  warm(tables, count);
  const Whole whole{tables, layout, how, static_cast<std::int64_t>(size)};
  std::vector<Result> results(layout.parts.size());
  run_parallel(layout.parts.size(), how.threads, [&](std::size_t p) {
    const LanePart& part = layout.parts[p];
    results[p] = decode_part(whole, part, indexes + part.first, out + part.first);
    if (results[p].status != Status::bad_start) {
      results[p].position += part.first;
    }
  });
  for (const Result& result : results) {
    if (result.status != Status::ok) {
      return result;
    }
  }
  return {};
}

template Result decode_lanes(const LaneTables&, const std::uint8_t*, std::size_t,
                             const std::uint8_t*, std::size_t, std::int32_t*,
                             const LaneDecoding&);
template Result decode_lanes(const LaneTables&, const std::uint8_t*, std::size_t,
                             const std::int32_t*, std::size_t, std::int32_t*,
                             const LaneDecoding&);

}  // namespace latentsr
