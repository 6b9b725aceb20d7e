// lanes_decode.cuh - decodes one part of a `lanes` stream with one warp, trusting no byte of it.
#pragma once

#include <cstdint>

#include "lane_turns.cuh"

namespace latentsr::cuda {

template <class Index>
struct PartJob {
  PartPlace place;
  std::uint32_t lanes;
  bool has_side;
  std::uint32_t bytes;   // of the whole stream, for the report
  std::uint32_t skip;
  const Index* indexes;  // the part's own, as is `out`
  std::int32_t* out;
};

template <class Warp, class Index>
class PartDecoder {
 public:
  LATENTSR_DEVICE PartDecoder(const Warp& warp, const LaneView& tables, const PartJob<Index>& job,
                              std::uint32_t* queue)
      : warp_(warp), job_(job),
        places_(warp, job.indexes, job.place.count, job.lanes, job.skip, queue),
        turns_(warp, tables, {job.indexes, job.out}, job.lanes, job.bytes) {}

  // Positions count from the part's first symbol, but for bad_start, where it is the lane.
  LATENTSR_DEVICE Result run() {
    Batch first;
    turns_.prepare(places_, first);
    const Result opened = turns_.open(job_.place.data, job_.place.size, job_.has_side);
    if (opened.status != Status::ok) {
      return in_place(opened, first);
    }
    return turns_.run(places_, first) ? turns_.check_end(job_.place.count) : turns_.fault();
  }

 private:
  using Batch = typename LaneTurns<Warp, Index>::Batch;

  // Before the first symbol, faults lie at the first one that is coded.
  LATENTSR_DEVICE Result in_place(Result fault, const Batch& first) const {
    if (fault.status != Status::bad_start && job_.skip != 0) {
      const std::uint32_t place = warp_.broadcast(first.places[0], 0);
      fault.position = first.slots != 0 ? place : job_.place.count;
    }
    return fault;
  }

  Warp warp_;
  PartJob<Index> job_;
  ForwardPlaces<Warp, Index> places_;
  LaneTurns<Warp, Index> turns_;
};

}  // namespace latentsr::cuda
