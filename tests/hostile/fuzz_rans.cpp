// fuzz_rans.cpp - libFuzzer's way into the decoders of both forms.
//
// From the repository's root, on a processor with AVX-512 (elsewhere without the -m options, the
// definition and the files *_avx*):
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
//     -mavx2 -mavx512f -mavx512bw -mavx512vbmi2 -mpopcnt -DLATENTSR_X86_KERNELS -Ikernels/include -Ikernels/tests
//     $(ls kernels/src/*.cpp | grep -v neon) tests/hostile/fuzz_rans.cpp -pthread -o fuzz_rans
//   ./fuzz_rans -max_len=4096 corpus
//
// The input's first 10 bytes choose: form and index type, how the stream is made, tables, number of
// symbols, share of escapes, parts and threads, certain rows, and a seed of the indexes. The rest is the stream itself, or the edits to an encoded
// one, or first the tables. Promises kept are checked by checked_decode.h.
#include <cstdio>
#include <cstdlib>

#include "checked_decode.h"
#include "seeded_cases.h"

namespace {

using namespace drivers;

constexpr std::size_t kMostSymbols = 1024;

// The input, taken from its front; zeros behind its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
  bool empty() const { return at_ == end_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *at_++; }
  std::size_t word() {
    const std::size_t low = byte();
    return low | std::size_t{byte()} << 8;
  }
  Bytes rest() const { return {at_, end_}; }

 private:
  const std::uint8_t* at_;
  const std::uint8_t* end_;
};

// Tables from the input: untrusted, as those of a bundle are. Null where they are refused.
std::unique_ptr<Tables> read_tables(Input& input) {
  std::vector<std::vector<std::int32_t>> rows(input.byte() % 4);
  std::vector<std::int32_t> offset;
  for (auto& sizes : rows) {
    std::int32_t left = kTotal;
    for (std::size_t slots = input.byte() % 24; slots > 0; --slots) {
      sizes.push_back(static_cast<std::int32_t>(input.word()) % left);
      left -= std::min(sizes.back(), left - 1);
    }
    sizes.push_back(input.byte() == 255 ? left + 1 : left);  // now and then not a distribution
    offset.push_back((static_cast<std::int32_t>(input.word()) - 32768) * 513);
  }
  return tables_from(rows, offset);
}

void apply_edits(Input& input, Bytes& stream) {
  while (!input.empty() && !stream.empty()) {
    const std::size_t place = input.word() % stream.size();
    const std::uint8_t change = input.byte();
    stream[place] ^= change;
    if (change == 0) {
      stream.resize(place);
    }
  }
}

// A whole stream, but one index names a row that is not there.
template <class Index>
void spoil(Input& input, std::size_t rows, std::vector<Index>& indexes) {
  const std::int32_t bad[] = {static_cast<std::int32_t>(rows), -1, INT32_MIN, 255};
  if (!indexes.empty()) {
    const std::size_t place = input.word() % indexes.size();
    indexes[place] = static_cast<Index>(bad[input.byte() % 4]);
  }
}

template <class Index>
void check(const Coding& how, const Case& made, std::vector<Index> indexes, std::uint8_t way,
           Input& input) {
  static CheckedDecoder decoder;
  Bytes stream;
  if (way % 2 == 1) {
    stream = encode(how, *made.tables, made.symbols, indexes);
    if (way % 4 == 3) {
      spoil(input, made.tables->cdf.rows.size(), indexes);
    }
    apply_edits(input, stream);
  } else {
    stream = input.rest();
  }
  if (!decoder.run(how, *made.tables, stream, indexes)) {
    std::fprintf(stderr, "broken promise: %s\n", decoder.fault.c_str());
    std::abort();
  }
}

const std::vector<std::unique_ptr<Tables>>& pool() {
  static const auto made = [] {
    Random random(1);
    return table_pool(random, 12);
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::uint8_t choice = input.byte();
  const std::uint8_t way = input.byte();
  const std::size_t table = input.byte();
  const std::size_t count = input.word() % kMostSymbols;
  const std::uint8_t share = input.byte();
  const std::uint8_t parts = input.byte();
  const std::size_t skip = input.byte();
  Random random(input.word());
  std::unique_ptr<Tables> read;
  if (way % 4 == 2) {
    read = read_tables(input);
    if (read == nullptr || read->cdf.rows.empty()) {
      return 0;
    }
  }
  const Tables& tables = read != nullptr ? *read : *pool()[table % pool().size()];
  Coding how;
  how.form = choice % 2 == 0 ? Form::compressai : Form::lanes;
  if (how.form == Form::lanes) {
    how.lanes = choice % 8 == 1 ? 0 : 1u << choice / 4 % 6;
    how.parts = parts % 16 > 8 ? 0 : 1u << parts % 16;
    how.threads = parts >= 240 ? 2 : 1;
    how.skip = static_cast<std::uint32_t>(skip < 128 ? 0 : skip % (tables.cdf.rows.size() + 1));
  }
  const Case made = draw(random, tables, count, share / 255.0, how.skip);
  if (choice / 2 % 2 == 0) {
    check(how, made, made.indexes, way, input);
  } else {
    check(how, made, made.narrow_indexes, way, input);
  }
  return 0;
}
