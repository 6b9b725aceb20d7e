// parallel.h - runs numbered jobs on a few threads.
#pragma once

#include <cstddef>
#include <functional>

namespace latentsr {

// Calls job(0) ... job(count - 1), each once, on up to `threads` threads, one of which is the
// caller's; fewer where the system gives no more. Returns when all are done. The first exception
// of a job is thrown here, after the others have ended.
void run_parallel(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& job);

}  // namespace latentsr
