// pixels.cpp - binds the steps between networks' planes and pictures.
#include "latentsr/pixels.h"

#include "arrays.h"

using latentsr::Isa;

namespace {

using Planes = nb::ndarray<float, nb::shape<3, -1, -1>, nb::c_contig, nb::device::cpu>;
using Window = nb::ndarray<const float, nb::shape<3, -1, -1>, nb::device::cpu>;
template <class T>
using Picture = nb::ndarray<T, nb::shape<-1, -1, 3>, nb::c_contig, nb::device::cpu>;

void expect(bool right, const char* text) {
  if (!right) {
    throw nb::value_error(text);
  }
}

latentsr::PixelWork checked_work(Isa isa, unsigned threads) {
  expect(latentsr::isa_supported(isa), "isa: this processor or build does not have it");
  expect(threads != 0, "threads: expected 1 or more");
  return {threads, isa};
}

bool picture_from_planes(Window planes, Picture<std::uint8_t> out, Isa isa, unsigned threads) {
  const std::size_t height = planes.shape(1);
  const std::size_t width = planes.shape(2);
  // A stride that leads nowhere may be anything.
  expect(planes.stride(2) == 1 || width < 2, "planes: expected the samples of a row side by side");
  expect(reinterpret_cast<std::uintptr_t>(planes.data()) % alignof(float) == 0,
         "planes: expected aligned samples");
  expect(out.shape(0) == height && out.shape(1) == width,
         "out: expected the height and width of the planes");
  const latentsr::PixelWork how = checked_work(isa, threads);
  const latentsr::PlaneWindow window{planes.data(), planes.stride(0), planes.stride(1), height,
                                     width};
  nb::gil_scoped_release release;
  return latentsr::picture_from_planes(window, out.data(), how);
}

void planes_from_picture(Picture<const std::uint8_t> picture, Planes out, std::size_t top,
                         std::size_t left, Isa isa, unsigned threads) {
  const std::size_t height = picture.shape(0);
  const std::size_t width = picture.shape(1);
  expect(height != 0 && width != 0, "picture: expected at least one pixel");
  // Differences, as sums could overflow.
  expect(height <= out.shape(1) && top <= out.shape(1) - height && width <= out.shape(2) &&
             left <= out.shape(2) - width,
         "out: expected planes that hold the picture at its place");
  expect(reinterpret_cast<std::uintptr_t>(out.data()) % alignof(float) == 0,
         "out: expected aligned samples");
  const latentsr::PixelWork how = checked_work(isa, threads);
  const latentsr::PaddedPlanes planes{out.data(), out.shape(1), out.shape(2), top, left};
  nb::gil_scoped_release release;
  latentsr::planes_from_picture(picture.data(), height, width, planes, how);
}

}  // namespace

void bind_pixels(nb::module_& module) {
  module.def("picture_from_planes", &picture_from_planes, "planes"_a.noconvert(),
             "out"_a.noconvert(), "isa"_a, "threads"_a = 1);
  module.def("planes_from_picture", &planes_from_picture, "picture"_a.noconvert(),
             "out"_a.noconvert(), "top"_a, "left"_a, "isa"_a, "threads"_a = 1);
}
