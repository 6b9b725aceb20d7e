// coder_calls.h - the one place where the test programs call the coders of both forms.
#pragma once

#include <algorithm>
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

// What both sides must know, and what the encoder may choose.
struct Coding {
  Form form = Form::lanes;
  // Of the `lanes` form only; 0 lanes or parts are the encoder's choice.
  unsigned lanes = 0;
  unsigned parts = 0;
  std::uint32_t skip = 0;
  unsigned threads = 1;
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

// Empty when an index or a symbol is bad.
template <class Index>
Bytes encode(const Coding& how, const Tables& tables, const std::vector<std::int32_t>& symbols,
             const std::vector<Index>& indexes) {
  Bytes stream;
  if (how.form == Form::lanes) {
    const latentsr::Result result =
        latentsr::encode_lanes(tables.lanes, symbols.data(), indexes.data(), symbols.size(),
                               {how.lanes, how.parts, how.skip, how.threads}, stream);
    return result.status == latentsr::Status::ok ? stream : Bytes{};
  }
  latentsr::CompressaiEncoder encoder;
  const latentsr::Result result =
      encoder.put(tables.cdf, symbols.data(), indexes.data(), symbols.size());
  if (result.status == latentsr::Status::ok) {
    const auto words = encoder.finish();
    stream.resize(4 * words.size());
    std::memcpy(stream.data(), words.data(), stream.size());
  }
  return stream;
}

template <class Index>
latentsr::Result decode(const Coding& how, const Tables& tables, const std::uint8_t* data,
                        std::size_t size, const std::vector<Index>& indexes, std::int32_t* out,
                        latentsr::Isa isa) {
  if (how.form == Form::lanes) {
    return latentsr::decode_lanes(tables.lanes, data, size, indexes.data(), indexes.size(), out,
                                  {how.skip, how.threads, isa});
  }
  return latentsr::decode_compressai(tables.cdf, data, size, indexes.data(), indexes.size(), out);
}

// The `compressai` form by its cursor, in pieces of changing sizes; must find what one whole
// decode finds.
template <class Index>
latentsr::Result decode_in_pieces(const Tables& tables, const std::uint8_t* data,
                                  std::size_t size, const std::vector<Index>& indexes,
                                  std::int32_t* out) {
  latentsr::CompressaiCursor cursor;
  latentsr::Result result = latentsr::open_compressai(data, size, cursor);
  std::size_t at = 0;
  for (std::size_t turn = 0; at < indexes.size(); ++turn) {
    if (result.status != latentsr::Status::ok) {
      return result;
    }
    constexpr std::size_t pieces[] = {1, 100, 0, 7, 500};
    const std::size_t count = std::min(pieces[turn % 5], indexes.size() - at);
    const latentsr::CompressaiCursor before = cursor;
    result = latentsr::read_compressai(tables.cdf, data, size, cursor, indexes.data() + at,
                                       count, out + at);
    result.position += at;
    const bool stayed = cursor.state == before.state && cursor.next == before.next;
    if (result.status == latentsr::Status::ok ? !latentsr::valid_cursor(cursor, size) : !stayed) {
      return {latentsr::Status::not_a_number};  // no decoder's: the cursor is wrong
    }
    at += count;
  }
  return result.status == latentsr::Status::ok
             ? latentsr::close_compressai(cursor, size, indexes.size())
             : result;
}

// Whether a stream that a decoder took is the encoder's for the symbols that came out, but for
// side sections of length 0 that are spelled out where one bit would have said so.
template <class Index>
bool canonical(Coding how, const Tables& tables, const Bytes& stream,
               const std::vector<std::int32_t>& decoded, const std::vector<Index>& indexes) {
  if (how.form == Form::lanes) {
    how.lanes = 1u << (stream[0] & 7);
    how.parts = 1u << (stream[0] >> 4);
  }
  const Bytes again = encode(how, tables, decoded, indexes);
  if (how.form == Form::lanes && !again.empty() && (again[0] & ~stream[0] & 8) != 0) {
    return again.size() < stream.size();
  }
  return again == stream;
}

inline const char* status_name(latentsr::Status status) {
  constexpr const char* names[] = {"ok",        "bad_index",  "odd_size",     "truncated",
                                   "trailing",  "bad_start",  "bad_end",      "bad_escape",
                                   "not_a_number", "bad_header", "trailing_side", "not_zero"};
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
