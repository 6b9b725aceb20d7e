// lane_reader.cpp - each read is a job that begins where the last one ended. See lane_reader.h.
//
// Symbol j belongs to lane j mod N, and a job begins at lane 0. So after a read that was no whole
// number of turns the lanes are rotated: the next one to take a word comes first.
#include "latentsr/lane_reader.h"

#include <algorithm>

#include "lane_layout.h"
#include "rans_lanes_job.h"

namespace latentsr {

Result LaneReader::open(const LaneTables& tables, const std::uint8_t* data, std::size_t size,
                        Isa isa) {
  bytes_ = static_cast<std::int64_t>(size);
  if (size != 0 && data[0] >> 4 != 0) {  // log2 of the number of parts
    fault_ = {Status::bad_header, 0, data[0]};
    return fault_;
  }
  LaneLayout layout;
  fault_ = read_layout(data, size, 0, layout);
  if (fault_.status != Status::ok) {
    return fault_;
  }
  LaneJob<std::uint8_t> job{};
  job.lanes = layout.lanes;
  const LanePart& part = layout.parts[0];
  fault_ = open_job(job, tables, part.data, part.size, layout.has_side, bytes_);
  tables_ = &tables;
  isa_ = isa;
  lanes_ = layout.lanes;
  turn_ = 0;
  std::copy_n(job.states, kMaxLanes, states_);
  word_ = job.word;
  words_end_ = job.words_end;
  side_ = job.side;
  side_end_ = job.side_end;
  position_ = 0;
  return fault_;
}

Result LaneReader::read(const std::uint8_t* indexes, std::size_t count, std::int32_t* out) {
  if (fault_.status != Status::ok) {
    return fault_;
  }
  LaneJob<std::uint8_t> job{tables_->lane_rows.data(), tables_->buckets.data(),
                            tables_->slots.data(), tables_->rows.data(),
                            static_cast<std::uint32_t>(tables_->rows.size()), lanes_, {}, word_,
                            side_, side_end_, indexes, out, count, 0, words_end_, {}};
  std::copy_n(states_, kMaxLanes, job.states);
  if (!decode_job(job, isa_, bytes_)) {
    fault_ = job.fault;
    fault_.position += position_;
    return fault_;
  }
  const std::uint32_t beyond = static_cast<std::uint32_t>(count) & (lanes_ - 1);
  std::rotate_copy(job.states, job.states + beyond, job.states + lanes_, states_);
  turn_ = (turn_ + beyond) & (lanes_ - 1);
  word_ = job.word;
  side_ = job.side;
  position_ += count;
  return {};
}

Result LaneReader::close() {
  if (fault_.status != Status::ok) {
    return fault_;
  }
  LaneJob<std::uint8_t> job{};
  job.lanes = lanes_;
  std::rotate_copy(states_, states_ + ((lanes_ - turn_) & (lanes_ - 1)), states_ + lanes_,
                   job.states);
  job.word = word_;
  job.words_end = words_end_;
  job.side = side_;
  job.side_end = side_end_;
  job.count = position_;
  return check_end(job);
}

}  // namespace latentsr
