// rans_lanes_neon.cpp - 4 to 32 lanes of the `lanes` form, four to a register. See rans_lanes.h.
//
// Checked under emulation only (tests/kernels/test_neon.py): its speed on a real ARM processor
// has not been measured, so no figure anywhere speaks for it.
#include <arm_neon.h>

#include <cstring>

#include "rans_lanes_job.h"

namespace latentsr {
namespace {

// For each set of lanes that take a word, which byte of the next 4 words goes where in their
// states. A source out of range gives 0, so lanes that take none get nothing.
struct SpreadTable {
  std::uint8_t source[16][16];

  constexpr SpreadTable() : source{} {
    for (std::uint32_t mask = 0; mask < 16; ++mask) {
      std::uint32_t next = 0;
      for (std::uint32_t lane = 0; lane < 4; ++lane) {
        const bool takes = (mask >> lane & 1) != 0;
        for (std::uint32_t byte = 0; byte < 4; ++byte) {
          const bool filled = takes && byte < 2;
          source[mask][4 * lane + byte] =
              filled ? static_cast<std::uint8_t>(2 * next + byte) : std::uint8_t{0xff};
        }
        next += takes ? 1 : 0;
      }
    }
  }
};

constexpr SpreadTable kSpread;

struct Four {
  uint32x4_t state;
  uint32x4_t value;
};

uint32x4_t load_indexes(const std::uint8_t* indexes) {
  std::uint32_t bytes;
  std::memcpy(&bytes, indexes, sizeof bytes);
  const uint8x8_t narrow = vreinterpret_u8_u32(vdup_n_u32(bytes));
  return vmovl_u16(vget_low_u16(vmovl_u8(narrow)));
}

uint32x4_t load_indexes(const std::int32_t* indexes) {
  return vreinterpretq_u32_s32(vld1q_s32(indexes));  // negative becomes huge
}

// There is no gather: four loads, each into its lane.
uint32x4_t load_each(const std::uint32_t* base, uint32x4_t at) {
  uint32x4_t found = vdupq_n_u32(base[vgetq_lane_u32(at, 0)]);
  found = vld1q_lane_u32(base + vgetq_lane_u32(at, 1), found, 1);
  found = vld1q_lane_u32(base + vgetq_lane_u32(at, 2), found, 2);
  return vld1q_lane_u32(base + vgetq_lane_u32(at, 3), found, 3);
}

// One whole slot in 64 bits.
uint32x2_t load_slot(const LaneSlot* slots, std::uint32_t at) {
  std::uint64_t both;
  std::memcpy(&both, slots + at, sizeof both);
  return vreinterpret_u32_u64(vcreate_u64(both));
}

// Slots number `at`, split into their two halves.
void load_slots(const LaneSlot* slots, uint32x4_t at, uint32x4_t& range, uint32x4_t& value) {
  const uint32x4_t low = vcombine_u32(load_slot(slots, vgetq_lane_u32(at, 0)),
                                      load_slot(slots, vgetq_lane_u32(at, 1)));
  const uint32x4_t high = vcombine_u32(load_slot(slots, vgetq_lane_u32(at, 2)),
                                       load_slot(slots, vgetq_lane_u32(at, 3)));
  range = vuzp1q_u32(low, high);
  value = vuzp2q_u32(low, high);
}

// Lanes whose state lies at or beyond the end of their slot: all bits set.
uint32x4_t lanes_beyond(uint32x4_t inside, uint32x4_t range) {
  return vcgeq_u32(inside, vshrq_n_u32(range, 16));
}

bool any(uint32x4_t lanes) { return vmaxvq_u32(lanes) != 0; }

// The states after the symbols found, before the refill.
uint32x4_t advance(uint32x4_t state, uint32x4_t range, uint32x4_t inside) {
  return vmlaq_u32(inside, vshrq_n_u32(state, 16), vshrq_n_u32(range, 16));
}

// One symbol of each lane, without the refill. `row` holds valid row numbers. Always inline: a
// call would move all states to memory and back, since no register keeps 128 bits across it.
template <class Index>
[[gnu::always_inline]] inline Four step(const LaneJob<Index>& job, uint32x4_t state, uint32x4_t row) {
  const uint32x4_t half = vdupq_n_u32(0xffff);
  const uint32x4_t low = vandq_u32(state, half);
  const uint32x4_t where = load_each(job.buckets_of_row, row);
  const uint32x4_t shift = vandq_u32(where, vdupq_n_u32((1 << kShiftBits) - 1));
  // Shifts by a register go left; a negative count goes right.
  const uint32x4_t offset = vshlq_u32(low, vnegq_s32(vreinterpretq_s32_u32(shift)));
  const uint32x4_t bucket = vaddq_u32(vshrq_n_u32(where, kShiftBits), offset);
  uint32x4_t range;
  uint32x4_t value;
  load_slots(job.buckets, bucket, range, value);
  uint32x4_t inside = vsubq_u32(low, vandq_u32(range, half));
  uint32x4_t beyond = lanes_beyond(inside, range);
  if (__builtin_expect(!any(beyond), 1)) {
    return {advance(state, range, inside), value};
  }
  uint32x4_t at = load_each(job.bucket_slots, bucket);
  do {  // ends: a row's last slot reaches 65536
    at = vsubq_u32(at, beyond);  // all bits set is -1
    load_slots(job.slots, at, range, value);
    inside = vsubq_u32(low, vandq_u32(range, half));
    beyond = lanes_beyond(inside, range);
  } while (any(beyond));
  return {advance(state, range, inside), value};
}

// Gives each lane below 2^16 the next word, in lane order. Loads 4 words, whatever it takes.
uint32x4_t refill(uint32x4_t state, const std::uint8_t*& word) {
  // One sum across the lanes gives the set of empty ones and, from bit 8 on, their bytes.
  const uint32x4_t weights = {0x201, 0x202, 0x204, 0x208};
  const uint32x4_t empty = vcltq_u32(state, vdupq_n_u32(1 << 16));
  const std::uint32_t sum = vaddvq_u32(vandq_u32(empty, weights));
  const uint8x16_t words = vcombine_u8(vld1_u8(word), vdup_n_u8(0));
  const uint8x16_t spread = vqtbl1q_u8(words, vld1q_u8(kSpread.source[sum & 15]));
  word += sum >> 8;
  const uint32x4_t moved = vbslq_u32(empty, vshlq_n_u32(state, 16), state);
  return vorrq_u32(moved, vreinterpretq_u32_u8(spread));
}

// The escaped ones among the symbols just stored; seldom asked for.
std::uint32_t escapes(const std::int32_t* out, std::size_t lanes) {
  std::uint32_t mask = 0;
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    mask |= (out[lane] == kEscapeValue ? 1u : 0u) << lane;
  }
  return mask;
}

template <class Index, int Groups>
void decode(LaneJob<Index>& job) {
  constexpr std::size_t lanes = 4 * Groups;
  const uint32x4_t mark = vreinterpretq_u32_s32(vdupq_n_s32(kEscapeValue));
  const std::uint8_t* word = job.word;
  uint32x4_t state[Groups];
  for (int g = 0; g < Groups; ++g) {
    state[g] = vld1q_u32(job.states + 4 * g);
  }
  std::size_t i = job.position;
  while (job.count - i >= lanes && static_cast<std::size_t>(job.words_end - word) >= 2 * lanes) {
    uint32x4_t row[Groups];
    uint32x4_t greatest = vdupq_n_u32(0);
    for (int g = 0; g < Groups; ++g) {
      row[g] = load_indexes(job.indexes + i + 4 * g);
      greatest = vmaxq_u32(greatest, row[g]);
    }
    if (vmaxvq_u32(greatest) >= job.row_count) {
      break;
    }
    uint32x4_t escaped = vdupq_n_u32(0);
    for (int g = 0; g < Groups; ++g) {
      const Four next = step(job, state[g], row[g]);
      state[g] = refill(next.state, word);
      vst1q_s32(job.out + i + 4 * g, vreinterpretq_s32_u32(next.value));
      escaped = vorrq_u32(escaped, vceqq_u32(next.value, mark));
    }
    if (__builtin_expect(any(escaped), 0) &&
        !resolve_escapes(job, i, escapes(job.out + i, lanes))) {
      return;
    }
    i += lanes;
  }
  for (int g = 0; g < Groups; ++g) {
    vst1q_u32(job.states + 4 * g, state[g]);
  }
  job.position = i;
  job.word = word;
}

}  // namespace

template <class Index>
void decode_turns_neon(LaneJob<Index>& job) {
  switch (job.lanes) {
    case 4: return decode<Index, 1>(job);
    case 8: return decode<Index, 2>(job);
    case 16: return decode<Index, 4>(job);
    default: return decode<Index, 8>(job);
  }
}

template void decode_turns_neon(LaneJob<std::uint8_t>&);
template void decode_turns_neon(LaneJob<std::int32_t>&);

}  // namespace latentsr
