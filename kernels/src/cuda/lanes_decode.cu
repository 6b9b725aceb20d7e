// lanes_decode.cu - launches the decoder of the `lanes` form.
#include "decode_batch.cuh"
#include "launch.cuh"

namespace latentsr::cuda {
namespace {

template <class Index>
__global__ void __launch_bounds__(kWarpLanes) decode_parts(DecodeBatch<Index> batch) {
  __shared__ std::uint32_t queue[kQueue];
  decode_block(DeviceWarp(), batch, blockIdx.x, queue);
}

template <class Index>
__global__ void __launch_bounds__(kWarpLanes) join_results(DecodeBatch<Index> batch) {
  first_fault(DeviceWarp(), batch, blockIdx.x);
}

template <class Index>
void launch(const DecodeCall& call, cudaStream_t stream) {
  const DecodeBatch<Index> batch = batch_of<Index>(call);
  decode_parts<<<call.stream_count * call.most_parts, kWarpLanes, 0, stream>>>(batch);
  join_results<<<call.stream_count, kWarpLanes, 0, stream>>>(batch);
}

}  // namespace

cudaError_t decode_lanes(const DecodeCall& call, cudaStream_t stream) {
  if (call.most_parts == 0 || call.most_parts > kMaxParts ||
      call.stream_count > (1u << 31) / kMaxParts - 1) {
    return cudaErrorInvalidValue;
  }
  if (call.stream_count != 0) {
    call.kind == IndexKind::uint8 ? launch<std::uint8_t>(call, stream)
                                  : launch<std::int32_t>(call, stream);
  }
  return cudaGetLastError();
}

}  // namespace latentsr::cuda
