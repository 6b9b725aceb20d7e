// compressai_stream.cpp - binds coding in pieces: a decoder that stops and goes on, an encoder
// that gathers first.
//
// Positions are read and written with the GIL held only, so threads that share an object may get
// each other's symbols, but never memory that is not there.
#include "arrays.h"

#include <nanobind/stl/shared_ptr.h>

#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "latentsr/cdf_tables.h"
#include "latentsr/rans.h"

using latentsr::CdfTables;
using latentsr::CompressaiCursor;
using latentsr::Result;
using latentsr::Status;

namespace {

// Where a reader stands: state, byte of the next word, symbols read so far.
using Position = std::tuple<std::uint64_t, std::size_t, std::size_t>;

class StreamReader {
 public:
  explicit StreamReader(Vector<const std::uint8_t> data)
      : bytes_(data.data(), data.data() + data.shape(0)),
        start_(latentsr::open_compressai(bytes_.data(), bytes_.size(), cursor_)) {}

  Outcome start() const { return outcome(start_); }

  template <class Index>
  Outcome read(const CdfTables& tables, Vector<const Index> indexes, Vector<std::int32_t> out) {
    expect_size("out", out.shape(0), indexes.shape(0));
    if (start_.status != Status::ok) {
      return outcome(start_);
    }
    CompressaiCursor cursor = cursor_;
    Result result;
    {
      nb::gil_scoped_release release;
      result = latentsr::read_compressai(tables, bytes_.data(), bytes_.size(), cursor,
                                         indexes.data(), indexes.shape(0), out.data());
    }
    if (result.status == Status::ok) {
      cursor_ = cursor;
      symbols_ += indexes.shape(0);
    } else if (result.status != Status::bad_index) {
      result.position += symbols_;
    }
    return outcome(result);
  }

  Outcome close() const {
    return outcome(start_.status != Status::ok
                       ? start_
                       : latentsr::close_compressai(cursor_, bytes_.size(), symbols_));
  }

  Position position() const { return {cursor_.state, cursor_.next, symbols_}; }

  void seek(const Position& position) {
    const CompressaiCursor cursor{std::get<0>(position), std::get<1>(position)};
    if (!latentsr::valid_cursor(cursor, bytes_.size())) {
      throw nb::value_error("position: found one that this stream cannot have");
    }
    cursor_ = cursor;
    symbols_ = std::get<2>(position);
  }

 private:
  const std::vector<std::uint8_t> bytes_;  // a copy: callers' buffers change and go
  CompressaiCursor cursor_;
  std::size_t symbols_ = 0;
  const Result start_;
};

class StreamWriter {
 public:
  template <class Index>
  Outcome push(std::shared_ptr<const CdfTables> tables, Vector<const std::int32_t> symbols,
               Vector<const Index> indexes) {
    expect_size("indexes", indexes.shape(0), symbols.shape(0));
    const std::size_t count = symbols.shape(0);
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(indexes.data()[i]);  // negative becomes huge
      if (index >= tables->rows.size()) {
        return {Status::bad_index, i, static_cast<std::int64_t>(indexes.data()[i])};
      }
    }
    pushes_.push_back({std::move(tables),
                       {symbols.data(), symbols.data() + count},
                       {indexes.data(), indexes.data() + count}});
    return outcome({});
  }

  nb::bytes flush() {
    const std::vector<Push> pushes = std::exchange(pushes_, {});
    latentsr::CompressaiEncoder encoder;
    std::span<const std::uint32_t> words;
    {
      nb::gil_scoped_release release;
      for (auto push = pushes.rbegin(); push != pushes.rend(); ++push) {
        encoder.put(*push->tables, push->symbols.data(), push->indexes.data(),
                    push->symbols.size());
      }
      words = encoder.finish();
    }
    return nb::bytes(words.data(), words.size_bytes());
  }

 private:
  struct Push {
    std::shared_ptr<const CdfTables> tables;
    std::vector<std::int32_t> symbols;
    std::vector<std::int32_t> indexes;
  };
  std::vector<Push> pushes_;
};

template <class Index>
void bind_index(nb::class_<StreamReader>& reader, nb::class_<StreamWriter>& writer) {
  reader.def("read", &StreamReader::read<Index>, "tables"_a, "indexes"_a.noconvert(),
             "out"_a.noconvert());
  writer.def("push", &StreamWriter::push<Index>, "tables"_a, "symbols"_a.noconvert(),
             "indexes"_a.noconvert());
}

}  // namespace

void bind_compressai_stream(nb::module_& module) {
  nb::class_<StreamReader> reader(module, "StreamReader");
  reader.def(nb::init<Vector<const std::uint8_t>>(), "data"_a.noconvert())
      .def("start", &StreamReader::start)
      .def("close", &StreamReader::close)
      .def("position", &StreamReader::position)
      .def("seek", &StreamReader::seek, "position"_a);
  nb::class_<StreamWriter> writer(module, "StreamWriter");
  writer.def(nb::init<>()).def("flush", &StreamWriter::flush);
  bind_index<std::uint8_t>(reader, writer);
  bind_index<std::int32_t>(reader, writer);
}
