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

template <class Index>
std::tuple<Outcome, nb::bytes> encode_lanes(const LaneTables& tables,
                                            Vector<const std::int32_t> symbols,
                                            Vector<const Index> indexes, unsigned lanes) {
  expect_size("indexes", indexes.shape(0), symbols.shape(0));
  if (lanes > latentsr::kMaxLanes || (lanes & (lanes - 1)) != 0) {
    throw nb::value_error("lanes: expected 0 (choose), 1, 2, 4, 8, 16 or 32");
  }
  std::vector<std::uint8_t> stream;
  Result result;
  {
    nb::gil_scoped_release release;
    result = latentsr::encode_lanes(tables, symbols.data(), indexes.data(), symbols.shape(0),
                                    lanes, stream);
  }
  if (result.status != Status::ok) {
    stream.clear();
  }
  return {outcome(result), nb::bytes(stream.data(), stream.size())};
}

template <class Index>
Outcome decode_lanes(const LaneTables& tables, Vector<const std::uint8_t> data,
                     Vector<const Index> indexes, Vector<std::int32_t> out, Isa isa) {
  expect_size("out", out.shape(0), indexes.shape(0));
  if (!latentsr::isa_supported(isa)) {
    throw nb::value_error("isa: this processor or build does not have it");
  }
  nb::gil_scoped_release release;
  return outcome(latentsr::decode_lanes(tables, data.data(), data.shape(0), indexes.data(),
                                        indexes.shape(0), out.data(), isa));
}

template <class Index>
void bind_lane_coder(nb::class_<LaneTables>& tables) {
  tables.def("encode", &encode_lanes<Index>, "symbols"_a.noconvert(), "indexes"_a.noconvert(),
             "lanes"_a = 0);
  tables.def("decode", &decode_lanes<Index>, "data"_a.noconvert(), "indexes"_a.noconvert(),
             "out"_a.noconvert(), "isa"_a);
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
