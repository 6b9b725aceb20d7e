// crc.cu - launches the CRC-32 of symbols.
#include "crc.cuh"
#include "launch.cuh"

namespace latentsr::cuda {
namespace {

__global__ void __launch_bounds__(kThreads) begin_crcs(CrcCall call) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < call.stream_count) {
    const std::uint32_t start = call.starts != nullptr ? call.starts[i] : 0;
    call.crcs[i] = crc_begin(start, call.streams[i].count);
  }
}

// A row of blocks for each stream.
__global__ void __launch_bounds__(kThreads) add_symbols(CrcCall call, std::uint32_t factor) {
  __shared__ std::uint32_t table[kCrcTable];
  for (std::uint32_t i = threadIdx.x; i < kCrcTable; i += blockDim.x) {
    table[i] = crc_table_entry(factor, i);
  }
  __syncthreads();
  constexpr std::uint32_t kRow = kCrcThreads / kThreads;
  const std::uint32_t number = blockIdx.x / kRow;
  const LaneStream stream = call.streams[number];
  const std::uint32_t sum = crc_sum(call.symbols + stream.first, stream.count,
                                    blockIdx.x % kRow * kThreads + threadIdx.x, table);
  if (sum != 0) {
    atomicXor(call.crcs + number, sum);
  }
}

}  // namespace

cudaError_t crc_of_symbols(const CrcCall& call, cudaStream_t stream) {
  constexpr std::uint32_t kRow = kCrcThreads / kThreads;
  if (call.stream_count > (1u << 31) / kRow - 1) {
    return cudaErrorInvalidValue;
  }
  if (call.stream_count != 0) {
    begin_crcs<<<blocks_for(call.stream_count), kThreads, 0, stream>>>(call);
    add_symbols<<<call.stream_count * kRow, kThreads, 0, stream>>>(call, crc_power(kCrcThreads));
  }
  return cudaGetLastError();
}

}  // namespace latentsr::cuda
