// context_float.cpp - binds the float form of context models: a latent in one call.
#include "arrays.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "latentsr/context_float.h"

using latentsr::CdfTables;
using latentsr::FloatContext;
using latentsr::FloatContextShape;
using latentsr::Isa;
using latentsr::Result;
using latentsr::Status;

namespace {

using Volume = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Weight = Matrix<const float>;
using Bias = Vector<const float>;
// State, byte of the next word, symbols before.
using Place = std::tuple<std::uint64_t, std::size_t, std::size_t>;
// Symbol number, other row, distance, state and byte where its position begins.
using Doubt = std::tuple<std::size_t, unsigned, float, std::uint64_t, std::size_t>;

void expect_isa(Isa isa) {
  if (!latentsr::isa_supported(isa)) {
    throw nb::value_error("isa: this processor or build does not have it");
  }
}

void init_context(FloatContext* self, Matrix<const std::int32_t> taps, Volume context,
                  std::vector<Weight> weights, std::vector<Bias> biases, float slope,
                  Bias scale_table, float bound) {
  expect_size("taps", taps.shape(1), 2);
  expect_size("layer 0: taps", context.shape(1), taps.shape(0));
  expect_size("biases", biases.size(), weights.size());
  if (biases.empty()) {
    throw nb::value_error("weights: found 0 elements, expected 2 or more");
  }
  latentsr::FloatContextArrays from{};
  for (std::size_t t = 0; t < taps.shape(0); ++t) {
    from.taps.push_back({taps.data()[2 * t], taps.data()[2 * t + 1]});
  }
  std::size_t inputs = context.shape(0);
  expect_size("layer 0: bias", biases[0].shape(0), inputs);
  from.layers.push_back({context.data(), biases[0].data(), inputs});
  for (std::size_t k = 0; k < weights.size(); ++k) {
    const std::string name = "layer " + std::to_string(k + 1);
    const std::size_t outputs = weights[k].shape(0);
    expect_size((name + ": inputs").c_str(), weights[k].shape(1), inputs);
    if (k > 0) {
      expect_size((name + ": bias").c_str(), biases[k].shape(0), outputs);
    }
    from.layers.push_back({weights[k].data(), k > 0 ? biases[k].data() : nullptr, outputs});
    inputs = outputs;
  }
  from.channels = context.shape(2);
  from.slope = slope;
  from.bound = bound;
  from.scale_table = scale_table.data();
  from.scale_count = scale_table.shape(0);
  FloatContext built;
  const std::string fault = built.build(from);
  if (!fault.empty()) {
    throw nb::value_error(fault.c_str());
  }
  new (self) FloatContext(std::move(built));
}

// The latent's shape, once features and arrays of its size are known to fit.
FloatContextShape checked_shape(const FloatContext& self, const Volume& features,
                                std::size_t symbols, std::size_t latent) {
  expect_size("features: values of a position", features.shape(2), self.layers[0].outputs);
  const std::size_t positions = features.shape(0) * features.shape(1);
  expect_size("symbols", symbols, positions * self.channels);
  expect_size("latent", latent, positions * self.channels);
  return {features.shape(0), features.shape(1), features.data()};
}

std::vector<latentsr::RowChange> checked_changes(
    const std::vector<std::pair<std::size_t, unsigned>>& changes, const CdfTables& tables,
    std::size_t first) {
  std::vector<latentsr::RowChange> checked;
  for (const auto& [place, row] : changes) {
    const bool rising = checked.empty() ? place >= first : place > checked.back().place;
    if (!rising || row >= tables.rows.size() || row > std::numeric_limits<std::uint8_t>::max()) {
      throw nb::value_error("changes: expected rows of the tables at rising places behind the "
                            "beginning");
    }
    checked.push_back({place, static_cast<std::uint8_t>(row)});
  }
  return checked;
}

std::tuple<Outcome, Place, std::vector<Doubt>> decode(
    const FloatContext& self, const CdfTables& tables, Vector<const std::uint8_t> data,
    Volume features, Vector<std::int32_t> symbols, Vector<std::uint8_t> rows,
    Vector<float> latent, const Place& begin,
    const std::vector<std::pair<std::size_t, unsigned>>& changes, float tolerance,
    std::size_t most_doubts, Isa isa) {
  expect_isa(isa);
  const FloatContextShape shape =
      checked_shape(self, features, symbols.shape(0), latent.shape(0));
  expect_size("rows", rows.shape(0), symbols.shape(0));
  const std::size_t before = std::get<2>(begin);
  latentsr::FloatContextDecoding how{};
  how.cursor = {std::get<0>(begin), std::get<1>(begin)};
  if (!latentsr::valid_cursor(how.cursor, data.shape(0)) || before % self.channels != 0 ||
      before > symbols.shape(0)) {
    throw nb::value_error("begin: found a place that this stream cannot have");
  }
  const auto checked = checked_changes(changes, tables, before);
  how.tables = &tables;
  how.data = data.data();
  how.size = data.shape(0);
  how.first = before / self.channels;
  how.changes = checked.data();
  how.change_count = checked.size();
  how.tolerance = tolerance;
  how.most_doubts = most_doubts;
  how.isa = isa;
  std::vector<latentsr::RowDoubt> doubts;
  Result result;
  {
    nb::gil_scoped_release release;
    result = latentsr::decode_float_context(self, shape, how, symbols.data(), rows.data(),
                                            latent.data(), doubts);
    if (result.status == Status::ok) {
      result = latentsr::close_compressai(how.cursor, how.size, symbols.shape(0));
    }
  }
  std::vector<Doubt> listed;
  std::transform(doubts.begin(), doubts.end(), std::back_inserter(listed),
                 [](const latentsr::RowDoubt& doubt) {
                   return Doubt{doubt.place, doubt.other, doubt.distance, doubt.cursor.state,
                                doubt.cursor.next};
                 });
  return {outcome(result), {how.cursor.state, how.cursor.next, symbols.shape(0)}, listed};
}

Outcome encode(const FloatContext& self, Volume features, Vector<const float> y,
               Vector<std::int32_t> symbols, Vector<std::uint8_t> rows, Vector<float> latent,
               Isa isa) {
  expect_isa(isa);
  const FloatContextShape shape =
      checked_shape(self, features, symbols.shape(0), latent.shape(0));
  expect_size("y", y.shape(0), symbols.shape(0));
  expect_size("rows", rows.shape(0), symbols.shape(0));
  nb::gil_scoped_release release;
  return outcome(latentsr::encode_float_context(self, shape, y.data(), isa, symbols.data(),
                                                rows.data(), latent.data()));
}

}  // namespace

void bind_context_float(nb::module_& module) {
  nb::class_<FloatContext>(module, "FloatContext")
      .def("__init__", &init_context, "taps"_a.noconvert(), "context"_a.noconvert(), "weights"_a,
           "biases"_a, "slope"_a, "scale_table"_a.noconvert(), "bound"_a)
      .def("decode", &decode, "tables"_a, "data"_a.noconvert(), "features"_a.noconvert(),
           "symbols"_a.noconvert(), "rows"_a.noconvert(), "latent"_a.noconvert(), "begin"_a,
           "changes"_a, "tolerance"_a, "most_doubts"_a, "isa"_a)
      .def("encode", &encode, "features"_a.noconvert(), "y"_a.noconvert(),
           "symbols"_a.noconvert(), "rows"_a.noconvert(), "latent"_a.noconvert(), "isa"_a);
}
