// parallel.cpp - threads that last: starting one takes up to a millisecond on a busy machine,
// which is as long as a whole picture's symbols; waking one takes some microseconds.
#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace latentsr {
namespace {

constexpr std::size_t kMostWorkers = 64;

// The jobs of one call. Who comes when all are taken does nothing, so a worker may come late,
// even after the call has returned: then it touches nothing of the caller's.
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
      if (++done_ == count_) {
        done_.notify_all();
      }
    }
  }

  // Returns when the jobs that others took have ended, too.
  void finish() {
    for (std::size_t done = done_; done != count_; done = done_) {
      done_.wait(done);
    }
    const std::lock_guard<std::mutex> hold(lock_);
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

 private:
  const std::size_t count_;
  const std::function<void(std::size_t)>& job_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> done_{0};
  std::mutex lock_;
  std::exception_ptr failure_;
};

class Workers {
 public:
  // Asks `count` workers to help; fewer come where the system gives no more threads.
  void call(const std::shared_ptr<Jobs>& jobs, std::size_t count) {
    const std::lock_guard<std::mutex> hold(lock_);
    while (workers_ < std::min(count, kMostWorkers)) {
      try {
        std::thread(&Workers::run, this).detach();
      } catch (const std::system_error&) {
        break;
      }
      ++workers_;
    }
    for (std::size_t i = 0; i < std::min(count, workers_); ++i) {
      waiting_.push_back(jobs);
      called_.notify_one();
    }
  }

 private:
  void run() {
    std::unique_lock<std::mutex> hold(lock_);
    while (true) {
      called_.wait(hold, [this] { return !waiting_.empty(); });
      const std::shared_ptr<Jobs> jobs = std::move(waiting_.front());
      waiting_.pop_front();
      hold.unlock();
      jobs->work();
      hold.lock();
    }
  }

  std::mutex lock_;
  std::condition_variable called_;
  std::deque<std::shared_ptr<Jobs>> waiting_;
  std::size_t workers_ = 0;
};

// The workers of this process. They are never destroyed, for they wait to the very end; a forked
// child has none of its parent's threads and gets new ones.
Workers& workers() {
  static std::mutex lock;
  static Workers* all = nullptr;
#if defined(__unix__) || defined(__APPLE__)
  static pid_t owner = 0;
  const std::lock_guard<std::mutex> hold(lock);
  if (all == nullptr || owner != getpid()) {
    all = new Workers;
    owner = getpid();
  }
#else
  const std::lock_guard<std::mutex> hold(lock);
  if (all == nullptr) {
    all = new Workers;
  }
#endif
  return *all;
}

}  // namespace

void run_parallel(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& job) {
  const std::size_t wanted = std::min<std::size_t>(count, threads);
  if (wanted <= 1) {
    for (std::size_t i = 0; i < count; ++i) {
      job(i);
    }
    return;
  }
  const auto jobs = std::make_shared<Jobs>(count, job);
  workers().call(jobs, wanted - 1);
  jobs->work();
  jobs->finish();
}

}  // namespace latentsr
