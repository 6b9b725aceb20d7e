// context_plan.h - on the host: where the arrays of a context call lie, and what each launch of a
// front gets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../context_scan.h"
#include "context_front.cuh"
#include "context_layer.cuh"
#include "latentsr/cuda/context_calls.h"

namespace latentsr::cuda {

// A latent, and the arrays that both calls have; null for what a call lacks.
struct ContextArrays {
  const float* features;
  const float* y;
  void* scratch;
  std::int32_t* symbols;
  float* latent;
  std::int32_t* scan_symbols;
  std::uint8_t* scan_indexes;
};

class ContextPlan {
 public:
  ContextPlan(const ContextView& model, std::uint32_t height, std::uint32_t width,
              const ContextArrays& arrays);

  // Of all scratch; the first zeroed() of them must be 0 at the beginning.
  std::size_t bytes() const { return bytes_; }
  std::size_t zeroed() const { return zeroed_; }
  ContextState* state() const { return place<ContextState>(state_); }

  std::uint64_t feature_count() const;
  std::uint64_t symbol_count() const;
  std::size_t fronts() const { return scan_.fronts(); }

  // Goes to the next front and returns its job; the layers' jobs are those of this front. Fronts
  // may be empty.
  ContextFrontJob next_front();
  ContextLayerJob layer(std::uint32_t number) const;

 private:
  template <class T>
  T* place(std::size_t offset) const {
    return reinterpret_cast<T*>(static_cast<std::uint8_t*>(arrays_.scratch) + offset);
  }
  std::size_t take(std::size_t size);
  std::int16_t* input() const;
  std::uint64_t first_sample() const;

  ContextView model_;
  std::uint32_t height_;
  std::uint32_t width_;
  ContextArrays arrays_;
  ContextScan scan_;
  std::size_t bytes_ = 0;
  std::size_t zeroed_ = 0;
  std::size_t inputs_ = 0;  // offsets in the scratch
  std::size_t activations_[kMostLayerViews] = {};
  std::size_t indexes_ = 0;
  std::size_t means_ = 0;
  std::size_t symbols_ = 0;
  std::size_t state_ = 0;
  std::size_t number_ = 0;  // of the next front
  ContextFront front_{};
  std::uint64_t first_ = 0;  // symbols before the front
};

}  // namespace latentsr::cuda
