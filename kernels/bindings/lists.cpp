// lists.cpp - binds what callers with Python lists need: tables from lists, lists into arrays.
//
// Lists of integers are how CompressAI hands over symbols and tables. Read here element by
// element they cost a few nanoseconds each; numpy takes ten times as long.
#include "arrays.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "latentsr/cdf_tables.h"

using latentsr::CdfRow;
using latentsr::CdfTables;

namespace {

// The integer, which must fit 32 bits; anything with __index__ is one.
std::int32_t as_int32(nb::handle item) {
  int overflow = 0;
  long long value = 0;
  if (PyLong_Check(item.ptr())) {
    value = PyLong_AsLongLongAndOverflow(item.ptr(), &overflow);
  } else {
    const nb::object number = nb::steal(PyNumber_Index(item.ptr()));
    if (!number.is_valid()) {
      throw nb::python_error();
    }
    value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  }
  if (overflow != 0 || value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max()) {
    throw nb::value_error("found a value beyond 32 bits");
  }
  return static_cast<std::int32_t>(value);
}

// A list or tuple as it is, another iterable as a list of its elements. Lists may change while
// they are read, because reading an element may run Python code: the size is asked for each time.
class Sequence {
 public:
  explicit Sequence(nb::handle object)
      : fast_(nb::steal(PySequence_Fast(object.ptr(), "expected a list of integers"))) {
    if (!fast_.is_valid()) {
      throw nb::python_error();
    }
  }

  std::size_t size() const {
    return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(fast_.ptr()));
  }

  nb::object operator[](std::size_t i) const {
    return nb::borrow(PySequence_Fast_GET_ITEM(fast_.ptr(), static_cast<Py_ssize_t>(i)));
  }

  // The first elements, `most` at most.
  std::vector<std::int32_t> values(std::size_t most) const {
    std::vector<std::int32_t> values;
    values.reserve(std::min(size(), most));
    for (std::size_t i = 0; i < size() && i < most; ++i) {
      values.push_back(as_int32((*this)[i]));
    }
    return values;
  }

 private:
  nb::object fast_;
};

void fill_int32(nb::object list, Vector<std::int32_t> out) {
  const Sequence values(list);
  expect_size("list", values.size(), out.shape(0));
  for (std::size_t i = 0; i < values.size() && i < out.shape(0); ++i) {
    out.data()[i] = as_int32(values[i]);
  }
}

// As many integers as there must be.
std::vector<std::int32_t> all_of(const char* name, nb::handle list, std::size_t count) {
  const Sequence values(list);
  expect_size(name, values.size(), count);
  std::vector<std::int32_t> all = values.values(count);
  expect_size(name, all.size(), count);
  return all;
}

// A row as far as its length says.
std::vector<std::int32_t> row_of(nb::handle row, std::int32_t length) {
  return Sequence(row).values(static_cast<std::size_t>(std::max(length, 0)));
}

// Tables from CompressAI's three lists. Rows may differ in length; what lies beyond a row's
// length is not looked at.
CdfTables* tables_from_lists(nb::object cdf, nb::object lengths, nb::object offsets) {
  const Sequence rows(cdf);
  const std::vector<std::int32_t> length = all_of("cdf lengths", lengths, rows.size());
  const std::vector<std::int32_t> offset = all_of("offsets", offsets, rows.size());
  auto tables = std::make_unique<CdfTables>();
  for (std::size_t row = 0; row < length.size() && row < rows.size(); ++row) {
    const std::vector<std::int32_t> entries = row_of(rows[row], length[row]);
    const std::string fault =
        tables->append(entries.data(), entries.size(), length[row], offset[row]);
    if (!fault.empty()) {
      throw nb::value_error(("row " + std::to_string(row) + ": found " + fault).c_str());
    }
  }
  return tables.release();
}

// Whether a row has this length, offset and distribution.
bool same_row(const CdfTables& tables, const CdfRow& row, const std::int32_t* cdf,
              std::size_t columns) {
  const auto slots = static_cast<std::size_t>(row.escape) + 1;
  if (columns <= slots || cdf[slots] != 1 << 16) {
    return false;
  }
  const std::uint32_t* starts = tables.slots.data() + row.first;
  for (std::size_t i = 0; i < slots; ++i) {
    if (cdf[i] != static_cast<std::int32_t>(starts[i] & 0xffff)) {
      return false;
    }
  }
  return true;
}

bool same_frame(const CdfTables& tables, const std::int32_t* length, const std::int32_t* offset) {
  for (const CdfRow& row : tables.rows) {
    if (*length++ != row.escape + 2 || *offset++ != row.offset) {
      return false;
    }
  }
  return true;
}

// Whether tables_from_lists would make the same tables; far cheaper than making them.
bool same_lists(const CdfTables& tables, nb::object cdf, nb::object lengths,
                nb::object offsets) {
  const Sequence rows(cdf);
  const std::size_t count = tables.rows.size();
  if (rows.size() != count) {
    return false;
  }
  const std::vector<std::int32_t> length = all_of("cdf lengths", lengths, count);
  const std::vector<std::int32_t> offset = all_of("offsets", offsets, count);
  if (!same_frame(tables, length.data(), offset.data())) {
    return false;
  }
  for (std::size_t row = 0; row < count && row < rows.size(); ++row) {
    const std::vector<std::int32_t> entries = row_of(rows[row], length[row]);
    if (!same_row(tables, tables.rows[row], entries.data(), entries.size())) {
      return false;
    }
  }
  return rows.size() == count;
}

// The same for arrays.
bool same_arrays(const CdfTables& tables, Matrix<const std::int32_t> cdf,
                 Vector<const std::int32_t> length, Vector<const std::int32_t> offset) {
  const std::size_t count = tables.rows.size();
  if (cdf.shape(0) != count || length.shape(0) != count || offset.shape(0) != count ||
      !same_frame(tables, length.data(), offset.data())) {
    return false;
  }
  for (std::size_t row = 0; row < count; ++row) {
    const std::int32_t* entries = cdf.data() + row * cdf.shape(1);
    if (!same_row(tables, tables.rows[row], entries, cdf.shape(1))) {
      return false;
    }
  }
  return true;
}

}  // namespace

void bind_lists(nb::module_& module) {
  module.def("fill_int32", &fill_int32, "list"_a, "out"_a.noconvert());
  module.def("tables_from_lists", &tables_from_lists, "cdf"_a, "length"_a, "offset"_a,
             nb::rv_policy::take_ownership);
  module.def("same_lists", &same_lists, "tables"_a, "cdf"_a, "length"_a, "offset"_a);
  module.def("same_arrays", &same_arrays, "tables"_a, "cdf"_a.noconvert(),
             "length"_a.noconvert(), "offset"_a.noconvert());
}
