// cuda_lanes.cpp - binds the tables and the coder of the `lanes` form on CUDA devices.
#include "cuda_arrays.h"

#include "latentsr/cdf_tables.h"

namespace cuda = latentsr::cuda;

namespace {

void init_tables(cuda::PackedTables* self, Matrix<const std::int32_t> cdf,
                 Vector<const std::int32_t> length, Vector<const std::int32_t> offset) {
  expect_size("length", length.shape(0), cdf.shape(0));
  expect_size("offset", offset.shape(0), cdf.shape(0));
  latentsr::CdfTables built;
  const std::string fault =
      built.build(cdf.data(), cdf.shape(0), cdf.shape(1), length.data(), offset.data());
  if (!fault.empty()) {
    throw nb::value_error(fault.c_str());
  }
  latentsr::LaneTables lanes;
  if (!lanes.build(built)) {
    throw nb::value_error("tables: found more than 2^28 buckets or 2^31 slots");
  }
  new (self) cuda::PackedTables(cuda::pack(lanes));
}

nb::bytes packed(const cuda::PackedTables& tables) {
  return nb::bytes(tables.bytes.data(), tables.bytes.size());
}

void decode(const cuda::PackedTables& tables, Address base, Address streams,
            std::uint32_t stream_count, std::uint32_t most_parts, std::uint32_t skip, Address data,
            Address indexes, unsigned index_bytes, Address out, Address part_results,
            Address results, Address stream) {
  const cuda::DecodeCall call{tables.at(base),
                              pointer<const cuda::LaneStream>(streams),
                              stream_count,
                              most_parts,
                              skip,
                              pointer<const std::uint8_t>(data),
                              pointer<const void>(indexes),
                              index_kind(index_bytes),
                              pointer<std::int32_t>(out),
                              pointer<latentsr::Result>(part_results),
                              pointer<latentsr::Result>(results)};
  expect_success(cuda::decode_lanes(call, stream_of(stream)));
}

void encode(const cuda::PackedTables& tables, Address base, Address targets,
            std::uint32_t target_count, std::uint32_t most_parts, std::uint32_t skip,
            Address symbols, Address indexes, unsigned index_bytes, std::uint64_t symbol_count,
            Address scratch, Address data, Address outcomes, Address stream) {
  const cuda::EncodeCall call{tables.at(base),
                              pointer<const cuda::LaneTarget>(targets),
                              target_count,
                              most_parts,
                              skip,
                              pointer<const std::int32_t>(symbols),
                              pointer<const void>(indexes),
                              index_kind(index_bytes),
                              symbol_count,
                              pointer<void>(scratch),
                              pointer<std::uint8_t>(data),
                              pointer<cuda::LaneOutcome>(outcomes)};
  expect_success(cuda::encode_lanes(call, stream_of(stream)));
}

}  // namespace

void bind_cuda_lanes(nb::module_& module) {
  module.def("encode_scratch", &cuda::encode_scratch, "symbol_count"_a, "target_count"_a,
             "most_parts"_a);
  module.def("encode_bound", &cuda::encode_bound, "count"_a, "lanes"_a, "parts"_a);
  nb::class_<cuda::PackedTables> tables(module, "PackedTables");
  tables.def("__init__", &init_tables, "cdf"_a.noconvert(), "length"_a.noconvert(),
             "offset"_a.noconvert());
  tables.def_prop_ro("bytes", &packed);
  tables.def("decode", &decode, "base"_a, "streams"_a, "stream_count"_a, "most_parts"_a, "skip"_a,
             "data"_a, "indexes"_a, "index_bytes"_a, "out"_a, "part_results"_a, "results"_a,
             "stream"_a);
  tables.def("encode", &encode, "base"_a, "targets"_a, "target_count"_a, "most_parts"_a, "skip"_a,
             "symbols"_a, "indexes"_a, "index_bytes"_a, "symbol_count"_a, "scratch"_a, "data"_a,
             "outcomes"_a, "stream"_a);
}
