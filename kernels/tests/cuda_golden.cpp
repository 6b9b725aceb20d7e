// cuda_golden.cpp - the CUDA coder of the `lanes` form writes and reads the golden streams.
//
// cuda_golden FILE: whole numbers apart by blanks. First the number of table rows, and of each its
// offset, its number of slots and their sizes. Then cases up to the end: lanes, parts and skip;
// the number of symbols, the symbols, their indexes; the number of streams that decode to them,
// the encoder's own first, and of each its size and bytes. Prints the number of cases.
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "emulated_coder.h"
#include "seeded_cases.h"

namespace {

using namespace drivers;

void expect(bool right, std::size_t number, const char* what) {
  if (!right) {
    std::fprintf(stderr, "case %zu: other %s\n", number, what);
    std::exit(1);
  }
}

template <class T>
std::vector<T> take(std::istream& file, std::size_t count) {
  std::vector<T> found(count);
  for (T& one : found) {
    std::int64_t number = 0;
    file >> number;
    one = static_cast<T>(number);
  }
  return found;
}

std::size_t take_count(std::istream& file) { return take<std::size_t>(file, 1)[0]; }

std::unique_ptr<Tables> take_tables(std::istream& file) {
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::int32_t> offset;
  for (std::size_t left = take_count(file); left > 0; --left) {
    offset.push_back(take<std::int32_t>(file, 1)[0]);
    rows.push_back(take<std::int32_t>(file, take_count(file)));
  }
  return tables_from(rows, offset);
}

void check(std::istream& file, const Tables& tables, std::size_t number,
           const std::vector<std::uint32_t>& how) {
  const std::size_t count = take_count(file);
  const auto symbols = take<std::int32_t>(file, count);
  const auto indexes = take<std::int32_t>(file, count);
  std::vector<Bytes> streams;
  for (std::size_t left = take_count(file); left > 0; --left) {
    streams.push_back(take<std::uint8_t>(file, take_count(file)));
  }
  expect(!streams.empty() && !file.fail(), number, "numbers than a case has");
  EncodedBatch<std::int32_t> encoded;
  encoded.add(symbols, indexes, how[0], how[1], static_cast<std::uint32_t>(streams[0].size()));
  encoded.encode(tables, how[2], latentsr::kMaxParts);
  expect(encoded.outcomes[0].result.status == latentsr::Status::ok, number, "outcome");
  expect(encoded.stream(0) == streams[0], number, "bytes");
  for (const Bytes& stream : streams) {
    DecodedBatch<std::int32_t> decoded;
    decoded.add(stream, indexes);
    decoded.decode(tables, how[2], latentsr::kMaxParts);
    expect(decoded.results[0].status == latentsr::Status::ok, number, "result");
    expect(decoded.symbols == symbols, number, "symbols");
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::ifstream file(argc > 1 ? argv[1] : "");
  const auto tables = take_tables(file);
  expect(tables != nullptr, 0, "tables than there can be");
  std::size_t cases = 0;
  for (;; ++cases) {
    const auto how = take<std::uint32_t>(file, 3);
    if (file.fail()) {
      break;
    }
    check(file, *tables, cases, how);
  }
  std::printf("{\"cases\": %zu}\n", cases);
}
