// coder_calls.h - the one place where the test programs call the coders of both forms.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "latentsr/cdf_tables.h"
#include "latentsr/lane_tables.h"
#include "latentsr/rans.h"
#include "latentsr/rans_lanes.h"

namespace drivers {

using Bytes = std::vector<std::uint8_t>;

enum class Form { compressai, lanes };
inline constexpr const char* kFormNames[] = {"compressai", "lanes"};

// The distributions in the layouts of both forms.
struct Tables {
  latentsr::CdfTables cdf;
  latentsr::LaneTables lanes;
};

struct NamedIsa {
  latentsr::Isa isa;
  const char* name;
};

// What this build and processor have; scalar comes first and is what the others must equal.
inline std::vector<NamedIsa> supported_isas() {
  constexpr NamedIsa all[] = {{latentsr::Isa::scalar, "scalar"},
                              {latentsr::Isa::neon, "neon"},
                              {latentsr::Isa::avx2, "avx2"},
                              {latentsr::Isa::avx512, "avx512"}};
  std::vector<NamedIsa> found;
  for (const NamedIsa& one : all) {
    if (latentsr::isa_supported(one.isa)) {
      found.push_back(one);
    }
  }
  return found;
}

// Their names as a JSON array.
inline std::string isas_json() {
  std::string names;
  for (const NamedIsa& one : supported_isas()) {
    names += (names.empty() ? "[\"" : ", \"") + std::string(one.name) + '"';
  }
  return names + ']';
}

// `lanes` matters to that form only; 0 is the encoder's choice. Empty when an index is bad.
template <class Index>
Bytes encode(Form form, const Tables& tables, const std::vector<std::int32_t>& symbols,
             const std::vector<Index>& indexes, unsigned lanes) {
  Bytes stream;
  if (form == Form::lanes) {
    const latentsr::Result result = latentsr::encode_lanes(
        tables.lanes, symbols.data(), indexes.data(), symbols.size(), lanes, stream);
    return result.status == latentsr::Status::ok ? stream : Bytes{};
  }
  std::vector<std::uint32_t> words;
  const latentsr::Result result = latentsr::encode_compressai(
      tables.cdf, symbols.data(), indexes.data(), symbols.size(), words);
  if (result.status == latentsr::Status::ok) {
    stream.resize(4 * words.size());
    std::memcpy(stream.data(), words.data(), stream.size());
  }
  return stream;
}

template <class Index>
latentsr::Result decode(Form form, const Tables& tables, const std::uint8_t* data,
                        std::size_t size, const std::vector<Index>& indexes, std::int32_t* out,
                        latentsr::Isa isa) {
  if (form == Form::lanes) {
    return latentsr::decode_lanes(tables.lanes, data, size, indexes.data(), indexes.size(), out,
                                  isa);
  }
  return latentsr::decode_compressai(tables.cdf, data, size, indexes.data(), indexes.size(), out);
}

// Lanes of a stream that a decoder took.
inline unsigned lanes_of(Form form, const Bytes& stream) {
  return form == Form::lanes ? 1u << stream[0] : 0;
}

inline const char* status_name(latentsr::Status status) {
  constexpr const char* names[] = {"ok",        "bad_index",  "odd_size",     "truncated",
                                   "trailing",  "bad_start",  "bad_end",      "bad_escape",
                                   "not_a_number", "bad_header", "trailing_side"};
  const auto number = static_cast<std::size_t>(status);
  return number < std::size(names) ? names[number] : "unknown";
}

inline std::string describe(const latentsr::Result& result) {
  return std::string(status_name(result.status)) + " at " + std::to_string(result.position) +
         ", detail " + std::to_string(result.detail);
}

inline bool same(const latentsr::Result& a, const latentsr::Result& b) {
  return a.status == b.status && a.position == b.position && a.detail == b.detail;
}

}  // namespace drivers
