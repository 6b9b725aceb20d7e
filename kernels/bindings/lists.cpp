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

// The size is asked for again at each element: reading one may run Python code, which may change
// the list.
void fill_int32(nb::list list, Vector<std::int32_t> out) {
  expect_size("list", list.size(), out.shape(0));
  for (std::size_t i = 0; i < list.size() && i < out.shape(0); ++i) {
    const nb::object item = nb::borrow(PyList_GET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i)));
    out.data()[i] = as_int32(item);
  }
}

std::vector<std::int32_t> to_vector(nb::list list, std::size_t most) {
  std::vector<std::int32_t> values;
  values.reserve(std::min(list.size(), most));
  for (std::size_t i = 0; i < list.size() && i < most; ++i) {
    const nb::object item = nb::borrow(PyList_GET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i)));
    values.push_back(as_int32(item));
  }
  return values;
}

// Row r of the list of lists as far as length[r] says.
std::vector<std::int32_t> row_of(nb::list cdf, std::size_t row, std::int32_t length) {
  const nb::object item = nb::borrow(PyList_GET_ITEM(cdf.ptr(), static_cast<Py_ssize_t>(row)));
  if (!PyList_Check(item.ptr())) {
    throw nb::type_error("cdfs: found a row that is no list");
  }
  const auto most = static_cast<std::size_t>(std::max(length, 0));
  return to_vector(nb::borrow<nb::list>(item), most);
}

// Tables from CompressAI's three lists. Rows may differ in length; what lies beyond a row's
// length is not looked at.
CdfTables* tables_from_lists(nb::list cdf, nb::list length_list, nb::list offset_list) {
  const std::size_t rows = cdf.size();
  const std::vector<std::int32_t> length = to_vector(length_list, length_list.size());
  const std::vector<std::int32_t> offset = to_vector(offset_list, offset_list.size());
  expect_size("cdf lengths", length.size(), rows);
  expect_size("offsets", offset.size(), rows);
  auto tables = std::make_unique<CdfTables>();
  for (std::size_t row = 0; row < rows && row < cdf.size(); ++row) {
    const std::vector<std::int32_t> entries = row_of(cdf, row, length[row]);
    const std::string fault =
        tables->append(entries.data(), entries.size(), length[row], offset[row]);
    if (!fault.empty()) {
      throw nb::value_error(("row " + std::to_string(row) + ": found " + fault).c_str());
    }
  }
  return tables.release();
}

bool same_row(const CdfTables& tables, const CdfRow& row, const std::vector<std::int32_t>& cdf) {
  const auto slots = static_cast<std::size_t>(row.escape) + 1;
  if (cdf.size() != slots + 1 || cdf[slots] != 1 << 16) {
    return false;
  }
  for (std::size_t i = 0; i < slots; ++i) {
    if (cdf[i] != static_cast<std::int32_t>(tables.slots[row.first + i] & 0xffff)) {
      return false;
    }
  }
  return true;
}

// Whether tables_from_lists would make the same tables; far cheaper than making them.
bool same_lists(const CdfTables& tables, nb::list cdf, nb::list length_list,
                nb::list offset_list) {
  const std::size_t rows = tables.rows.size();
  if (cdf.size() != rows || length_list.size() != rows || offset_list.size() != rows) {
    return false;
  }
  const std::vector<std::int32_t> length = to_vector(length_list, rows);
  const std::vector<std::int32_t> offset = to_vector(offset_list, rows);
  if (length.size() != rows || offset.size() != rows) {
    return false;
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (length[row] != tables.rows[row].escape + 2 || offset[row] != tables.rows[row].offset) {
      return false;
    }
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (row >= cdf.size() ||
        !same_row(tables, tables.rows[row], row_of(cdf, row, length[row]))) {
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
}
