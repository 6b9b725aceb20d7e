// rans_lanes_decode.cpp - reads the `lanes` form, trusting no byte of it. See rans_lanes.h.
//
// Here are the header, the escaped values and the end; the symbols are the work of the parts in
// rans_lanes_job.h.
#include "latentsr/rans_lanes.h"

#include <bit>
#include <cstring>
#include <limits>

#include "rans_lanes_job.h"

namespace latentsr {
namespace {

static_assert(std::endian::native == std::endian::little, "states are loaded in host order");

constexpr int kMaxVarint = 5;

// Takes one number from [at, end). Returns the bytes it took, or 0 when it has another spelling
// than an encoder's or does not end.
int take_varint(const std::uint8_t*& at, const std::uint8_t* end, std::uint64_t& number) {
  number = 0;
  for (int taken = 0; taken < kMaxVarint && at != end; ++taken) {
    const std::uint8_t byte = *at++;
    number |= std::uint64_t{byte & 127u} << (7 * taken);
    if (byte < 128) {
      return byte == 0 && taken > 0 ? 0 : taken + 1;
    }
  }
  return 0;
}

// Fills the job's lanes and section bounds.
template <class Index>
Result open(LaneJob<Index>& job, const std::uint8_t* data, std::size_t size) {
  const auto bytes = static_cast<std::int64_t>(size);
  if (size == 0) {
    return {Status::truncated, 0, bytes};
  }
  if (data[0] > 5) {
    return {Status::bad_header, 0, data[0]};
  }
  job.lanes = 1u << data[0];
  const std::uint8_t* at = data + 1;
  const std::uint8_t* end = data + size;
  std::uint64_t side = 0;
  if (take_varint(at, end, side) == 0) {
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

// The check of the form itself: everything that the encoder put in has come out.
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
  for (std::size_t i = 0; i < entries; i += 16) {
    __builtin_prefetch(&tables.bucket_slots[i]);
  }
#endif
}

template <class Index>
void decode_simd([[maybe_unused]] LaneJob<Index>& job, [[maybe_unused]] Isa isa) {
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

template <class Index>
Result decode_lanes(const LaneTables& tables, const std::uint8_t* data, std::size_t size,
                    const Index* indexes, std::size_t count, std::int32_t* out, Isa isa) {
  LaneJob<Index> job{};
  job.buckets_of_row = tables.buckets_of_row.data();
  job.buckets = tables.buckets.data();
  job.bucket_slots = tables.bucket_slots.data();
  job.slots = tables.slots.data();
  job.rows = tables.rows.data();
  job.row_count = static_cast<std::uint32_t>(tables.rows.size());
  job.indexes = indexes;
  job.out = out;
  job.count = count;
  const Result opened = open(job, data, size);
  if (opened.status != Status::ok) {
    return opened;
  }
  warm(tables, count);
  decode_simd(job, isa);
  if (job.fault.status != Status::ok || !decode_turns_scalar(job) ||
      !decode_rest(job, static_cast<std::int64_t>(size))) {
    return job.fault;
  }
  return check_end(job);
}

template Result decode_lanes(const LaneTables&, const std::uint8_t*, std::size_t,
                             const std::uint8_t*, std::size_t, std::int32_t*, Isa);
template Result decode_lanes(const LaneTables&, const std::uint8_t*, std::size_t,
                             const std::int32_t*, std::size_t, std::int32_t*, Isa);

}  // namespace latentsr
