// parallel.cpp - threads for the length of one call; starting one takes about 20 microseconds.
#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace latentsr {
namespace {

class Jobs {
 public:
  Jobs(std::size_t count, const std::function<void(std::size_t)>& job)
      : count_(count), job_(job) {}

  // Takes jobs until there are none.
  void work() {
    for (std::size_t i = next_++; i < count_; i = next_++) {
      try {
        job_(i);
      } catch (...) {
        const std::lock_guard<std::mutex> hold(lock_);
        if (!failure_) {
          failure_ = std::current_exception();
        }
      }
    }
  }

  void rethrow() const {
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

 private:
  const std::size_t count_;
  const std::function<void(std::size_t)>& job_;
  std::atomic<std::size_t> next_{0};
  std::mutex lock_;
  std::exception_ptr failure_;
};

}  // namespace

void run_parallel(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& job) {
  Jobs jobs(count, job);
  const std::size_t wanted = std::min<std::size_t>(count, threads);
  std::vector<std::thread> helpers;
  helpers.reserve(wanted);
  while (helpers.size() + 1 < wanted) {
    try {
      helpers.emplace_back(&Jobs::work, &jobs);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: those there are do the work
    }
  }
  jobs.work();
  for (std::thread& helper : helpers) {
    helper.join();
  }
  jobs.rethrow();
}

}  // namespace latentsr
