// lanes.cpp - binds the tables and the coder of the `lanes` form.
#include "arrays.h"

#include <vector>

#include "latentsr/lane_tables.h"
#include "latentsr/rans_lanes.h"

using latentsr::CdfTables;
using latentsr::Isa;
using latentsr::LaneTables;
using latentsr::Result;
using latentsr::Status;

namespace {

void init_lane_tables(LaneTables* self, const CdfTables& tables) {
  LaneTables built;
  if (!built.build(tables)) {
    throw nb::value_error("tables: found more than 2^28 buckets or 2^31 slots");
  }
  new (self) LaneTables(std::move(built));
}

void expect_count(const char* name, unsigned found, unsigned most) {
  if (found > most || (found & (found - 1)) != 0) {
    const std::string text =
        std::string(name) + ": expected 0 (choose) or a power of two up to " + std::to_string(most);
    throw nb::value_error(text.c_str());
  }
}

void expect_threads(unsigned found) {
  if (found == 0) {
    throw nb::value_error("threads: expected 1 or more");
  }
}

template <class Index>
std::tuple<Outcome, nb::bytes> encode_lanes(const LaneTables& tables,
                                            Vector<const std::int32_t> symbols,
                                            Vector<const Index> indexes, unsigned lanes,
                                            unsigned parts, std::uint32_t skip,
                                            unsigned threads) {
  expect_size("indexes", indexes.shape(0), symbols.shape(0));
  expect_count("lanes", lanes, latentsr::kMaxLanes);
  expect_count("parts", parts, latentsr::kMaxParts);
  expect_threads(threads);
  std::vector<std::uint8_t> stream;
  Result result;
  {
    nb::gil_scoped_release release;
    result = latentsr::encode_lanes(tables, symbols.data(), indexes.data(), symbols.shape(0),
                                    {lanes, parts, skip, threads}, stream);
  }
  if (result.status != Status::ok) {
    stream.clear();
  }
  return {outcome(result), nb::bytes(stream.data(), stream.size())};
}

template <class Index>
Outcome decode_lanes(const LaneTables& tables, Vector<const std::uint8_t> data,
                     Vector<const Index> indexes, Vector<std::int32_t> out, Isa isa,
                     std::uint32_t skip, unsigned threads) {
  expect_size("out", out.shape(0), indexes.shape(0));
  expect_threads(threads);
  if (!latentsr::isa_supported(isa)) {
    throw nb::value_error("isa: this processor or build does not have it");
  }
  nb::gil_scoped_release release;
  return outcome(latentsr::decode_lanes(tables, data.data(), data.shape(0), indexes.data(),
                                        indexes.shape(0), out.data(), {skip, threads, isa}));
}

template <class Index>
void bind_lane_coder(nb::class_<LaneTables>& tables) {
  tables.def("encode", &encode_lanes<Index>, "symbols"_a.noconvert(), "indexes"_a.noconvert(),
             "lanes"_a = 0, "parts"_a = 0, "skip"_a = 0, "threads"_a = 1);
  tables.def("decode", &decode_lanes<Index>, "data"_a.noconvert(), "indexes"_a.noconvert(),
             "out"_a.noconvert(), "isa"_a, "skip"_a = 0, "threads"_a = 1);
}

}  // namespace

void bind_lanes(nb::module_& module) {
  nb::enum_<Isa>(module, "Isa")
      .value("SCALAR", Isa::scalar)
      .value("AVX2", Isa::avx2)
      .value("AVX512", Isa::avx512)
      .value("NEON", Isa::neon);
  module.def("isa_supported", &latentsr::isa_supported, "isa"_a);
  nb::class_<LaneTables> tables(module, "LaneTables");
  tables.def("__init__", &init_lane_tables, "tables"_a);
  bind_lane_coder<std::uint8_t>(tables);
  bind_lane_coder<std::int32_t>(tables);
}
