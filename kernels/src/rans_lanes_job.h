// rans_lanes_job.h - one part's decode of the `lanes` form as its scalar and SIMD steps hand it on.
//
// The SIMD files are compiled for processors that may not be there. They see raw pointers and
// plain functions only: an inline function from a shared header, compiled there, could be the
// copy that the linker keeps for everyone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/lane_tables.h"
#include "latentsr/rans_lanes.h"
#include "latentsr/status.h"

namespace latentsr {

template <class Index>
struct LaneJob {
  const LaneRow* lane_rows;
  const LaneBucket* buckets;
  const std::uint32_t* slots;
  const CdfRow* rows;
  std::uint32_t row_count;

  std::uint32_t lanes;
  std::uint32_t states[32];
  const std::uint8_t* word;      // next word; words end where the side section starts
  const std::uint8_t* side;      // next byte of the side section
  const std::uint8_t* side_end;

  const Index* indexes;
  std::int32_t* out;
  std::size_t count;
  std::size_t position;          // symbols decoded so far, a multiple of `lanes` between parts
  const std::uint8_t* words_end;
  Result fault;                  // the first fault found
};

// Begins a job, whose lanes are set, with the tables and one part of a stream: `size` bytes from
// `at` on. `bytes` is the whole stream's size, for the report.
template <class Index>
Result open_job(LaneJob<Index>& job, const LaneTables& tables, const std::uint8_t* at,
                std::size_t size, bool has_side, std::int64_t bytes);

// Decodes the symbols from job.position on to the job's end. False, with job.fault set, at the
// first fault. `isa` must be supported.
template <class Index>
bool decode_job(LaneJob<Index>& job, Isa isa, std::int64_t bytes);

// The check of the form itself: everything that the encoder put in has come out.
template <class Index>
Result check_end(const LaneJob<Index>& job);

// Replaces the escaped symbols out[first + i], for each bit i of `mask`, by the values of the side
// section. False, with job.fault set, when it does not hold them.
template <class Index>
bool resolve_escapes(LaneJob<Index>& job, std::size_t first, std::uint32_t mask);

// The scalar parts: whole turns while there are words for all lanes, without a branch on the
// refill; then the last symbols, each refill checked. They name every fault and are false at one.
// `bytes` is the stream's size, for the report.
template <class Index>
bool decode_turns_scalar(LaneJob<Index>& job);
template <class Index>
bool decode_rest(LaneJob<Index>& job, std::int64_t bytes);

// The SIMD parts decode whole turns (one symbol a lane) for as long as symbols, words and valid
// indexes suffice for all that a turn can take, and leave the rest, and naming any fault but
// those of escapes, to the scalar parts. The lane count must be a multiple of 8 (AVX2), 16
// (AVX-512) or 4 (NEON).
template <class Index>
void decode_turns_avx2(LaneJob<Index>& job);
template <class Index>
void decode_turns_avx512(LaneJob<Index>& job);
template <class Index>
void decode_turns_neon(LaneJob<Index>& job);

}  // namespace latentsr
