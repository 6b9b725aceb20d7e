// calls.h - what the CUDA kernels are called with, pointer by pointer.
//
// Unless said otherwise pointers are device pointers, aligned to their type, to arrays of exactly
// the size given, which may be 0, and outputs lie apart from inputs. Data, indexes, symbols,
// scales and samples may be anything: no byte is read or written beside the arrays whatever they
// hold. The structs of a batch and the tables are the caller's word and are taken as they are.
// Memory is the caller's, and must live until the work is done.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/cuda/lane_batch.h"
#include "latentsr/cuda/lane_view.h"
#include "latentsr/cuda/planes.h"
#include "latentsr/latent_steps.h"

namespace latentsr::cuda {

// An index is one byte or four; samples are float32 or IEEE FP16.
enum class IndexKind : int { uint8 = 1, int32 = 4 };
enum class SampleKind : int { float32 = 4, float16 = 2 };

// decode_lanes() for many streams of the same tables. One warp a part.
struct DecodeCall {
  LaneView tables;              // from PackedTables::at(), of a copy in device memory
  const LaneStream* streams;    // stream_count; their ranges lie inside data, indexes and out
  std::uint32_t stream_count;
  std::uint32_t most_parts;     // 1 to kMaxParts; streams of more parts end with bad_header
  std::uint32_t skip;           // rows below it are certain
  const std::uint8_t* data;     // all streams; any alignment
  const void* indexes;          // of `kind`
  IndexKind kind;
  std::int32_t* out;            // as many as indexes
  Result* part_results;         // scratch: stream_count * most_parts
  Result* results;              // out: stream_count; as decode_lanes() returns
};

// encode_lanes() for many arrays of the same tables. One warp a part; the bytes are the same.
struct EncodeCall {
  LaneView tables;
  const LaneTarget* targets;    // target_count; their ranges lie inside symbols, indexes, data
  std::uint32_t target_count;
  std::uint32_t most_parts;     // a power of two up to kMaxParts; no stream gets more parts
  std::uint32_t skip;
  const std::int32_t* symbols;
  const void* indexes;          // of `kind`, as many as symbols
  IndexKind kind;
  std::uint64_t symbol_count;   // of all targets: the size of symbols and indexes
  void* scratch;                // encode_scratch() bytes, aligned to 256
  std::uint8_t* data;           // out: the streams, in their rooms
  LaneOutcome* outcomes;        // out: target_count
};

// Bytes of scratch of an encode, about 7 a symbol.
std::size_t encode_scratch(std::uint64_t symbol_count, std::uint32_t target_count,
                           std::uint32_t most_parts);

// Bytes that a stream of `count` symbols cannot exceed; what it will need is far less.
std::uint64_t encode_bound(std::uint32_t count, std::uint32_t lanes, std::uint32_t parts);

// crc32() of the symbols of each stream as little-endian int32, as containers hold it.
struct CrcCall {
  const std::int32_t* symbols;
  const LaneStream* streams;    // stream_count, of which `first` and `count` are used
  std::uint32_t stream_count;
  const std::uint32_t* starts;  // stream_count, the CRCs of what came before; or null for none
  std::uint32_t* crcs;          // out: stream_count; may be `starts`
};

// The CRC of symbols that have the CRC `before`, followed by `count` that have the CRC `own`.
// Computed at once, on the host.
std::uint32_t combine_crcs(std::uint32_t before, std::uint32_t own, std::uint64_t count);

// `fault`, below, is one number: the first position at which something was wrong, or 2^64 - 1
// where nothing was. The call resets it first.

// symbols_from_latent(): fault = the first residual out of range, for which the symbol 0 is written.
struct QuantiseCall {
  const void* latent;           // count, of `kind`; FP16 is widened first
  SampleKind kind;
  Means means;                  // values: device pointer to means.count float32
  std::uint64_t count;          // a multiple of means.count * means.repeat
  std::int32_t* symbols;        // out: count
  float* restored;              // out: count, or null
  std::uint64_t* fault;         // out
};

// latent_from_symbols(), the float32 sum rounded to FP16 (half to even, beyond 65504 infinite)
// where `kind` says so.
struct RestoreCall {
  const std::int32_t* symbols;  // count
  Means means;                  // as above
  std::uint64_t count;
  void* latent;                 // out: count, of `kind`
  SampleKind kind;
};

// scale_indexes(): fault = the first NaN, for which row 0 is written.
struct IndexCall {
  const void* scales;           // count, of `kind`
  SampleKind kind;
  std::uint64_t count;
  const float* thresholds;      // threshold_count, rising
  std::uint32_t threshold_count;  // at most kMaxThresholds
  std::uint8_t* out;            // out: count
  std::uint64_t* fault;         // out
};

// What an encoder does before it leaves certain symbols out: those whose row lies below `skip`
// become 0, and their restored values 0 + mean. All others stay.
struct ClearCall {
  const void* indexes;          // count, of `kind`
  IndexKind kind;
  std::uint32_t skip;           // negative indexes are not below it
  Means means;                  // as above
  std::uint64_t count;
  std::int32_t* symbols;        // in and out: count
  float* restored;              // in and out: count, or null
};

// Samples limited to 0..1; NaN stays.
struct LimitCall {
  const void* samples;          // count, of `kind`
  SampleKind kind;
  std::uint64_t count;
  void* out;                    // out: count, of `kind`; may be `samples`
};

// float32 rounded to FP16 (half to even, beyond 65504 infinite), or FP16 as the same numbers in
// float32; NaN stays.
struct ConvertCall {
  const void* samples;          // count, of `kind`
  SampleKind kind;
  std::uint64_t count;
  void* out;                    // out: count, of the other kind
};

// picture_from_planes() for a batch: fault = the first pixel, over all pictures, with a sample
// that is NaN or infinite.
struct PictureCall {
  PlaneBatch<const void> planes;  // samples of `kind`; at least one row and column, or no picture
  SampleKind kind;
  std::uint8_t* pictures;       // out: pictures x height x width x 3
  std::uint64_t* fault;         // out
};

// planes_from_picture() for a batch, float32 products rounded to FP16 where `kind` says so.
struct PlaneCall {
  const std::uint8_t* pictures; // pictures x height x width x 3
  std::uint32_t height;         // of a picture, at least 1
  std::uint32_t width;
  std::uint32_t top;            // the picture's place in its planes; it lies within them
  std::uint32_t left;
  PlaneBatch<void> planes;      // out: samples of `kind`
  SampleKind kind;
};

}  // namespace latentsr::cuda
