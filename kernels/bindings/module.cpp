// module.cpp - latentsr._kernels: checks arrays, releases the GIL, hands statuses to Python.
//
// Nothing is converted here: an array of the wrong type, order or place is a TypeError. The
// wording of errors about streams is latentsr.entropy.coder's.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "latentsr/cdf_tables.h"
#include "latentsr/lane_tables.h"
#include "latentsr/rans.h"
#include "latentsr/rans_lanes.h"
#include "latentsr/scale_indexes.h"
#include "latentsr/status.h"

namespace nb = nanobind;
using namespace nb::literals;
using latentsr::CdfTables;
using latentsr::Isa;
using latentsr::LaneTables;
using latentsr::Result;
using latentsr::Status;

namespace {

template <class T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Outcome = std::tuple<Status, std::size_t, std::int64_t>;

Outcome outcome(const Result& result) {
  return {result.status, result.position, result.detail};
}

void expect_size(const char* name, std::size_t found, std::size_t expected) {
  if (found != expected) {
    const std::string text = std::string(name) + ": found " + std::to_string(found) +
                             " elements, expected " + std::to_string(expected);
    throw nb::value_error(text.c_str());
  }
}

void init_tables(CdfTables* self, Matrix<const std::int32_t> cdf,
                 Vector<const std::int32_t> length, Vector<const std::int32_t> offset) {
  expect_size("length", length.shape(0), cdf.shape(0));
  expect_size("offset", offset.shape(0), cdf.shape(0));
  CdfTables built;
  const std::string fault =
      built.build(cdf.data(), cdf.shape(0), cdf.shape(1), length.data(), offset.data());
  if (!fault.empty()) {
    throw nb::value_error(fault.c_str());
  }
  new (self) CdfTables(std::move(built));
}

template <class Index>
std::tuple<Outcome, nb::bytes> encode(const CdfTables& tables,
                                      Vector<const std::int32_t> symbols,
                                      Vector<const Index> indexes) {
  expect_size("indexes", indexes.shape(0), symbols.shape(0));
  std::vector<std::uint32_t> words;
  Result result;
  {
    nb::gil_scoped_release release;
    words.reserve(symbols.shape(0) / 8 + 2);
    result = latentsr::encode_compressai(tables, symbols.data(), indexes.data(),
                                         symbols.shape(0), words);
  }
  if (result.status != Status::ok) {
    words.clear();
  }
  return {outcome(result), nb::bytes(words.data(), words.size() * sizeof(std::uint32_t))};
}

template <class Index>
Outcome decode(const CdfTables& tables, Vector<const std::uint8_t> data,
               Vector<const Index> indexes, Vector<std::int32_t> out) {
  expect_size("out", out.shape(0), indexes.shape(0));
  nb::gil_scoped_release release;
  return outcome(latentsr::decode_compressai(tables, data.data(), data.shape(0), indexes.data(),
                                             indexes.shape(0), out.data()));
}

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

Outcome scale_indexes(Vector<const float> scales, Vector<const float> thresholds,
                      Vector<std::uint8_t> out) {
  expect_size("out", out.shape(0), scales.shape(0));
  if (thresholds.shape(0) > latentsr::kMaxThresholds) {
    expect_size("thresholds", thresholds.shape(0), latentsr::kMaxThresholds);
  }
  nb::gil_scoped_release release;
  return outcome(latentsr::scale_indexes(scales.data(), scales.shape(0), thresholds.data(),
                                         thresholds.shape(0), out.data()));
}

template <class Index>
void bind_coder(nb::class_<CdfTables>& tables) {
  tables.def("encode_compressai", &encode<Index>, "symbols"_a.noconvert(),
             "indexes"_a.noconvert());
  tables.def("decode_compressai", &decode<Index>, "data"_a.noconvert(),
             "indexes"_a.noconvert(), "out"_a.noconvert());
}

template <class Index>
void bind_lanes(nb::class_<LaneTables>& tables) {
  tables.def("encode", &encode_lanes<Index>, "symbols"_a.noconvert(), "indexes"_a.noconvert(),
             "lanes"_a = 0);
  tables.def("decode", &decode_lanes<Index>, "data"_a.noconvert(), "indexes"_a.noconvert(),
             "out"_a.noconvert(), "isa"_a);
}

}  // namespace

NB_MODULE(_kernels, module) {
  module.doc() = "Entropy coding on the processor. Use latentsr.entropy, which checks and words.";

  nb::enum_<Status>(module, "Status")
      .value("OK", Status::ok)
      .value("BAD_INDEX", Status::bad_index)
      .value("ODD_SIZE", Status::odd_size)
      .value("TRUNCATED", Status::truncated)
      .value("TRAILING", Status::trailing)
      .value("BAD_START", Status::bad_start)
      .value("BAD_END", Status::bad_end)
      .value("BAD_ESCAPE", Status::bad_escape)
      .value("NOT_A_NUMBER", Status::not_a_number)
      .value("BAD_HEADER", Status::bad_header)
      .value("TRAILING_SIDE", Status::trailing_side);

  nb::enum_<Isa>(module, "Isa")
      .value("SCALAR", Isa::scalar)
      .value("AVX2", Isa::avx2)
      .value("AVX512", Isa::avx512);
  module.def("isa_supported", &latentsr::isa_supported, "isa"_a);

  nb::class_<CdfTables> tables(module, "CdfTables");
  tables.def("__init__", &init_tables, "cdf"_a.noconvert(), "length"_a.noconvert(),
             "offset"_a.noconvert());
  bind_coder<std::uint8_t>(tables);
  bind_coder<std::int32_t>(tables);

  nb::class_<LaneTables> lane_tables(module, "LaneTables");
  lane_tables.def("__init__", &init_lane_tables, "tables"_a);
  bind_lanes<std::uint8_t>(lane_tables);
  bind_lanes<std::int32_t>(lane_tables);

  module.def("scale_indexes", &scale_indexes, "scales"_a.noconvert(), "thresholds"_a.noconvert(),
             "out"_a.noconvert());
}
