// compressai.cpp - binds the distributions and the coder of the `compressai` form.
#include "arrays.h"

#include <span>

#include "latentsr/cdf_tables.h"
#include "latentsr/rans.h"

using latentsr::CdfTables;
using latentsr::Result;
using latentsr::Status;

namespace {

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
  latentsr::CompressaiEncoder encoder;
  Result result;
  std::span<const std::uint32_t> words;
  {
    nb::gil_scoped_release release;
    result = encoder.put(tables, symbols.data(), indexes.data(), symbols.shape(0));
    if (result.status == Status::ok) {
      words = encoder.finish();
    }
  }
  return {outcome(result), nb::bytes(words.data(), words.size_bytes())};
}

template <class Index>
Outcome decode(const CdfTables& tables, Vector<const std::uint8_t> data,
               Vector<const Index> indexes, Vector<std::int32_t> out) {
  expect_size("out", out.shape(0), indexes.shape(0));
  nb::gil_scoped_release release;
  return outcome(latentsr::decode_compressai(tables, data.data(), data.shape(0), indexes.data(),
                                             indexes.shape(0), out.data()));
}

template <class Index>
void bind_coder(nb::class_<CdfTables>& tables) {
  tables.def("encode_compressai", &encode<Index>, "symbols"_a.noconvert(),
             "indexes"_a.noconvert());
  tables.def("decode_compressai", &decode<Index>, "data"_a.noconvert(),
             "indexes"_a.noconvert(), "out"_a.noconvert());
}

}  // namespace

void bind_compressai(nb::module_& module) {
  nb::class_<CdfTables> tables(module, "CdfTables");
  tables.def("__init__", &init_tables, "cdf"_a.noconvert(), "length"_a.noconvert(),
             "offset"_a.noconvert());
  tables.def_prop_ro("rows", [](const CdfTables& self) { return self.rows.size(); });
  tables.def_prop_ro("slots", [](const CdfTables& self) { return self.slots.size(); });
  bind_coder<std::uint8_t>(tables);
  bind_coder<std::int32_t>(tables);
}
