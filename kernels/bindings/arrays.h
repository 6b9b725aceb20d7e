// arrays.h - what the binding files share: array types, size checks, statuses as tuples.
//
// Nothing is converted at this border: an array of the wrong type, order or place is a
// TypeError. The wording of errors about streams is latentsr.entropy's.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <cstdint>
#include <string>
#include <tuple>

#include "latentsr/status.h"

namespace nb = nanobind;
using namespace nb::literals;

template <class T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Outcome = std::tuple<latentsr::Status, std::size_t, std::int64_t>;

inline Outcome outcome(const latentsr::Result& result) {
  return {result.status, result.position, result.detail};
}

inline void expect_size(const char* name, std::size_t found, std::size_t expected) {
  if (found != expected) {
    const std::string text = std::string(name) + ": found " + std::to_string(found) +
                             " elements, expected " + std::to_string(expected);
    throw nb::value_error(text.c_str());
  }
}

// Each adds one subject to the module.
void bind_compressai(nb::module_& module);
void bind_compressai_stream(nb::module_& module);
void bind_context(nb::module_& module);
void bind_context_float(nb::module_& module);
void bind_lanes(nb::module_& module);
void bind_latents(nb::module_& module);
void bind_lists(nb::module_& module);
void bind_pixels(nb::module_& module);
