// checked_decode.h - one stream decoded in every way there is, held to all that the headers promise.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "coder_calls.h"

namespace drivers {

inline constexpr std::int32_t kGuard = 0x5a5a5a5a;
inline constexpr std::size_t kGuards = 32;

// Processor time of this thread: another program's turn does not count as a slow decode.
inline std::int64_t thread_nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Symbols, with room on both sides that nothing may write to, or else in a block of their own
// size, so that a sanitizer or valgrind sees even a read beside them.
class Output {
 public:
  void reset(std::size_t count, bool guarded) {
    guards_ = guarded ? kGuards : 0;
    room_ = std::vector<std::int32_t>(count + 2 * guards_, kGuard);
  }
  std::int32_t* data() { return room_.data() + guards_; }
  std::size_t size() const { return room_.size() - 2 * guards_; }
  bool operator==(const Output& other) const { return room_ == other.room_; }
  bool intact() const {
    const auto kept = [](std::int32_t x) { return x == kGuard; };
    const auto edge = static_cast<std::ptrdiff_t>(guards_);
    return std::all_of(room_.begin(), room_.begin() + edge, kept) &&
           std::all_of(room_.end() - edge, room_.end(), kept);
  }

 private:
  std::size_t guards_ = 0;
  std::vector<std::int32_t> room_;
};

class CheckedDecoder {
 public:
  // Decodes a stream: the `lanes` form with each instruction set, the other one whole and in
  // pieces. False, with `fault` set, when a promise was broken: instruction sets that
  // differ, a write beside the output, more time than any stream may take, or an accepted stream
  // that the encoder would not write for the symbols it gave.
  template <class Index>
  bool run(const Coding& how, const Tables& tables, const Bytes& stream,
           const std::vector<Index>& indexes) {
    ++runs_;
    // A block of its own size, so that a sanitizer or valgrind sees a read beyond its end.
    const std::unique_ptr<std::uint8_t[]> data(new std::uint8_t[stream.size()]);
    std::copy(stream.begin(), stream.end(), data.get());
    const std::vector<NamedIsa>& ways = how.form == Form::lanes ? isas_ : whole_and_pieces_;
    for (const NamedIsa& one : ways) {
      const bool first = &one == &ways[0];
      Output& output = first ? first_ : other_;
      output.reset(indexes.size(), runs_ / 8 % 2 == 0);
      const std::int64_t begin = thread_nanoseconds();
      const latentsr::Result found =
          how.form == Form::lanes || first
              ? decode(how, tables, data.get(), stream.size(), indexes, output.data(), one.isa)
              : decode_in_pieces(tables, data.get(), stream.size(), indexes, output.data());
      const std::int64_t spent = thread_nanoseconds() - begin;
      slowest_ns = std::max(slowest_ns, spent);
      ++decodes;
      if (first) {
        result = found;
      }
      if (!judge(one, found, output, spent, stream.size())) {
        return false;
      }
    }
    if (result.status == latentsr::Status::ok) {
      const std::vector<std::int32_t> decoded(symbols(), symbols() + indexes.size());
      if (!canonical(how, tables, stream, decoded, indexes)) {
        fault = "an accepted stream is not what the encoder writes for its symbols";
      }
    }
    return fault.empty();
  }

  const std::int32_t* symbols() { return first_.data(); }

  latentsr::Result result;  // of the last stream
  std::string fault;
  std::uint64_t decodes = 0;
  std::int64_t slowest_ns = 0;

 private:
  bool judge(const NamedIsa& one, const latentsr::Result& found, const Output& output,
             std::int64_t spent, std::size_t bytes) {
    // Some thousand times what it takes: it tells a loop that does not end from a slow machine,
    // an emulator or a tool that watches every load.
    const auto work = static_cast<std::int64_t>(output.size() + bytes);
    if (!same(found, result)) {
      fault = std::string(one.name) + " found " + describe(found) + ", scalar " + describe(result);
    } else if (!output.intact()) {
      fault = std::string(one.name) + " wrote beside its output";
    } else if (found.status == latentsr::Status::ok && !(output == first_)) {
      fault = std::string(one.name) + " decoded other symbols than scalar";
    } else if (spent > 100'000'000 + 5'000 * work) {
      fault = std::string(one.name) + " took " + std::to_string(spent) + " ns";
    }
    return fault.empty();
  }

  const std::vector<NamedIsa> isas_ = supported_isas();
  const std::vector<NamedIsa> whole_and_pieces_ = {{latentsr::Isa::scalar, "whole"},
                                                   {latentsr::Isa::scalar, "pieces"}};
  std::uint64_t runs_ = 0;
  Output first_;
  Output other_;
};

}  // namespace drivers
