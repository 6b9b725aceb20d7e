// context_team.cpp - see context_team.h.
#include "context_team.h"

#include <thread>

namespace latentsr {
namespace {

// Looks that a thread takes before it gives its turn to others.
constexpr int kLooks = 256;

void rest(int& looks) {
  if (++looks >= kLooks) {
    looks = 0;
    std::this_thread::yield();
    return;
  }
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

bool ContextTeam::take() {
  std::uint64_t seen = open_.load(std::memory_order_relaxed);
  while (static_cast<std::uint32_t>(seen) < seen >> 32) {
    if (open_.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      job_(static_cast<std::uint32_t>(seen));
      done_.fetch_add(1, std::memory_order_release);
      return true;
    }
  }
  return false;
}

void ContextTeam::share(std::size_t count) {
  done_.store(0, std::memory_order_relaxed);
  open_.store(std::uint64_t{count} << 32, std::memory_order_release);
  while (take()) {
  }
  int looks = 0;
  while (done_.load(std::memory_order_acquire) != count) {
    rest(looks);
  }
}

void ContextTeam::help() {
  int looks = 0;
  while (!dismissed_.load(std::memory_order_acquire)) {
    if (!take()) {
      rest(looks);
    }
  }
}

}  // namespace latentsr
