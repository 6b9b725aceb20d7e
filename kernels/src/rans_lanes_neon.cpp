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
  uint32x4_t escaped;  // all bits set where
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

// There is no gather: four loads, each of 64 bits, a pair of 32-bit numbers.
template <class Pair>
uint32x2_t load_pair(const Pair* pairs, std::uint32_t at) {
  static_assert(sizeof(Pair) == 8);
  std::uint64_t both;
  std::memcpy(&both, pairs + at, sizeof both);
  return vreinterpret_u32_u64(vcreate_u64(both));
}

// Pairs number `at`, split into their two halves.
template <class Pair>
void load_pairs(const Pair* pairs, uint32x4_t at, uint32x4_t& first, uint32x4_t& second) {
  const uint32x4_t low = vcombine_u32(load_pair(pairs, vgetq_lane_u32(at, 0)),
                                      load_pair(pairs, vgetq_lane_u32(at, 1)));
  const uint32x4_t high = vcombine_u32(load_pair(pairs, vgetq_lane_u32(at, 2)),
                                       load_pair(pairs, vgetq_lane_u32(at, 3)));
  first = vuzp1q_u32(low, high);
  second = vuzp2q_u32(low, high);
}

bool any(uint32x4_t lanes) { return vmaxvq_u32(lanes) != 0; }

// Where states lie: number of the slot, its frequency, and how far inside.
struct Place {
  uint32x4_t slot;
  uint32x4_t frequency;
  uint32x4_t inside;
};

// Goes on, for the lanes in `beyond`, from the slots of `place` to the later ones that hold `low`.
template <class Index>
void search(const LaneJob<Index>& job, uint32x4_t low, uint32x4_t row, uint32x4_t beyond,
            Place& place) {
  std::uint32_t lows[4], rows[4], wrong[4], slot[4], frequency[4], inside[4];
  vst1q_u32(lows, low);
  vst1q_u32(rows, row);
  vst1q_u32(wrong, beyond);
  vst1q_u32(slot, place.slot);
  vst1q_u32(frequency, place.frequency);
  vst1q_u32(inside, place.inside);
  for (int lane = 0; lane < 4; ++lane) {
    const std::uint32_t* slots = job.slots + job.rows[rows[lane]].first;
    while (wrong[lane] != 0) {  // ends: a row's last slot reaches 65536
      const std::uint32_t range = slots[++slot[lane]];
      inside[lane] = lows[lane] - (range & 0xffff);
      frequency[lane] = range >> 16;
      wrong[lane] = inside[lane] >= frequency[lane] ? 1 : 0;
    }
  }
  place = {vld1q_u32(slot), vld1q_u32(frequency), vld1q_u32(inside)};
}

// One symbol of each lane, without the refill. `row` holds valid row numbers. Always inline: a
// call would move all states to memory and back, since no register keeps 128 bits across it.
template <class Index>
[[gnu::always_inline]] inline Four step(const LaneJob<Index>& job, uint32x4_t state,
                                        uint32x4_t row) {
  const uint32x4_t half = vdupq_n_u32(0xffff);
  const uint32x4_t low = vandq_u32(state, half);
  uint32x4_t where;
  uint32x4_t offset;
  load_pairs(job.lane_rows, row, where, offset);
  const uint32x4_t shift = vandq_u32(where, vdupq_n_u32((1 << kShiftBits) - 1));
  // Shifts by a register go left; a negative count goes right.
  const uint32x4_t inner = vshlq_u32(low, vnegq_s32(vreinterpretq_s32_u32(shift)));
  uint32x4_t range;
  uint32x4_t second;
  load_pairs(job.buckets, vaddq_u32(vshrq_n_u32(where, kShiftBits), inner), range, second);
  Place place{vshrq_n_u32(second, 16), vshrq_n_u32(range, 16),
              vsubq_u32(low, vandq_u32(range, half))};
  uint32x4_t beyond = vcgeq_u32(place.inside, place.frequency);
  place.inside = vsubq_u32(place.inside, vandq_u32(beyond, place.frequency));
  place.frequency = vbslq_u32(beyond, vandq_u32(second, half), place.frequency);
  place.slot = vsubq_u32(place.slot, beyond);  // all bits set is -1
  beyond = vcgeq_u32(place.inside, place.frequency);
  if (__builtin_expect(any(beyond), 0)) {
    search(job, low, row, beyond, place);
  }
  const uint32x4_t state_after = vmlaq_u32(place.inside, vshrq_n_u32(state, 16), place.frequency);
  // Only the escape slot, the last one, ends at 65536.
  const uint32x4_t end = vaddq_u32(vsubq_u32(low, place.inside), place.frequency);
  return {state_after, vaddq_u32(offset, place.slot), vceqq_u32(end, vdupq_n_u32(0x10000))};
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

// The bits of escaped lanes, four a group; seldom asked for.
std::uint32_t bits_of(const uint32x4_t* escaped, int groups) {
  std::uint32_t mask = 0;
  for (int g = 0; g < groups; ++g) {
    std::uint32_t lanes[4];
    vst1q_u32(lanes, escaped[g]);
    for (int lane = 0; lane < 4; ++lane) {
      mask |= (lanes[lane] & 1) << (4 * g + lane);
    }
  }
  return mask;
}

template <class Index, int Groups>
void decode(LaneJob<Index>& job) {
  constexpr std::size_t lanes = 4 * Groups;
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
    uint32x4_t escaped[Groups];
    uint32x4_t any_escaped = vdupq_n_u32(0);
    for (int g = 0; g < Groups; ++g) {
      const Four next = step(job, state[g], row[g]);
      state[g] = refill(next.state, word);
      vst1q_s32(job.out + i + 4 * g, vreinterpretq_s32_u32(next.value));
      escaped[g] = next.escaped;
      any_escaped = vorrq_u32(any_escaped, next.escaped);
    }
    if (__builtin_expect(any(any_escaped), 0) &&
        !resolve_escapes(job, i, bits_of(escaped, Groups))) {
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
