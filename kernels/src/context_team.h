// context_team.h - threads that share many short stretches of work, a few microseconds each.
//
// Waking a thread takes longer than such a stretch, so helpers keep looking for work until they
// are dismissed, and give their turn away while there is none. The leader does everything that no
// helper has taken: one that comes late, or never, costs nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace latentsr {

class ContextTeam {
 public:
  // job(i) does item i of what the leader shares; different items at the same time.
  explicit ContextTeam(std::function<void(std::size_t)> job) : job_(std::move(job)) {}

  // The leader's: does items 0 ... count - 1, below 2^32, and returns when all are done. What the
  // leader wrote before is seen by every item, and what items write is seen by the leader.
  void share(std::size_t count);

  // The leader's, when there is nothing left to share.
  void dismiss() { dismissed_.store(true, std::memory_order_release); }

  // A helper's: returns when dismissed.
  void help();

 private:
  bool take();

  std::function<void(std::size_t)> job_;
  // Items of the current stretch << 32 | the next item to take: one word, so that whoever takes an
  // item takes it of the stretch that is on.
  alignas(64) std::atomic<std::uint64_t> open_{0};
  alignas(64) std::atomic<std::size_t> done_{0};
  std::atomic<bool> dismissed_{false};
};

}  // namespace latentsr
