// lanes_encode.cu - launches the encoder of the `lanes` form, four kernels one after the other.
#include "encode_batch.cuh"
#include "launch.cuh"

namespace latentsr::cuda {
namespace {

template <class Index>
__global__ void __launch_bounds__(kWarpLanes) plan_streams(EncodeBatch<Index> batch) {
  plan_block(DeviceWarp(), batch, blockIdx.x);
}

template <class Index>
__global__ void __launch_bounds__(kWarpLanes) encode_parts(EncodeBatch<Index> batch) {
  __shared__ std::uint32_t queue[kQueue];
  encode_block(DeviceWarp(), batch, blockIdx.x, queue);
}

template <class Index>
__global__ void __launch_bounds__(kWarpLanes) write_heads(EncodeBatch<Index> batch) {
  head_block(DeviceWarp(), batch, blockIdx.x);
}

template <class Index>
__global__ void __launch_bounds__(kWarpLanes) join_parts(EncodeBatch<Index> batch) {
  join_block(DeviceWarp(), batch, blockIdx.x);
}

template <class Index>
void launch(const EncodeCall& call, cudaStream_t stream) {
  const EncodeBatch<Index> batch = batch_of<Index>(call);
  const std::uint32_t blocks = call.target_count * call.most_parts;
  plan_streams<<<call.target_count, kWarpLanes, 0, stream>>>(batch);
  encode_parts<<<blocks, kWarpLanes, 0, stream>>>(batch);
  write_heads<<<call.target_count, kWarpLanes, 0, stream>>>(batch);
  join_parts<<<blocks, kWarpLanes, 0, stream>>>(batch);
}

}  // namespace

cudaError_t encode_lanes(const EncodeCall& call, cudaStream_t stream) {
  if (call.most_parts == 0 || call.most_parts > kMaxParts ||
      (call.most_parts & (call.most_parts - 1)) != 0 ||
      call.target_count > (1u << 31) / kMaxParts - 1) {
    return cudaErrorInvalidValue;
  }
  if (call.target_count != 0) {
    call.kind == IndexKind::uint8 ? launch<std::uint8_t>(call, stream)
                                  : launch<std::int32_t>(call, stream);
  }
  return cudaGetLastError();
}

}  // namespace latentsr::cuda
