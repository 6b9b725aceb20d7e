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

// Where the scratch's arrays lie.
struct Scratch {
  std::size_t parts;
  std::size_t words;
  std::size_t side;
  std::size_t end;
};

constexpr std::size_t rounded_up(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

Scratch scratch_for(std::uint64_t symbols, std::uint32_t targets, std::uint32_t most_parts) {
  Scratch made{};
  made.parts = rounded_up(targets * sizeof(PlanRecord));
  made.words =
      made.parts + rounded_up(std::size_t{targets} * most_parts * sizeof(PartRecord));
  made.side = made.words + rounded_up(symbols * sizeof(std::uint16_t));
  made.end = made.side + rounded_up(symbols * 5);
  return made;
}

template <class Index>
void launch(const EncodeCall& call, cudaStream_t stream) {
  const Scratch at = scratch_for(call.symbol_count, call.target_count, call.most_parts);
  auto* scratch = static_cast<std::uint8_t*>(call.scratch);
  const EncodeBatch<Index> batch{call.tables,
                                 call.targets,
                                 call.target_count,
                                 call.most_parts,
                                 call.skip,
                                 call.symbols,
                                 static_cast<const Index*>(call.indexes),
                                 reinterpret_cast<std::uint16_t*>(scratch + at.words),
                                 scratch + at.side,
                                 reinterpret_cast<PlanRecord*>(scratch),
                                 reinterpret_cast<PartRecord*>(scratch + at.parts),
                                 call.data,
                                 call.outcomes};
  const std::uint32_t blocks = call.target_count * call.most_parts;
  plan_streams<<<call.target_count, kWarpLanes, 0, stream>>>(batch);
  encode_parts<<<blocks, kWarpLanes, 0, stream>>>(batch);
  write_heads<<<call.target_count, kWarpLanes, 0, stream>>>(batch);
  join_parts<<<blocks, kWarpLanes, 0, stream>>>(batch);
}

}  // namespace

std::size_t encode_scratch(std::uint64_t symbol_count, std::uint32_t target_count,
                           std::uint32_t most_parts) {
  return scratch_for(symbol_count, target_count, most_parts).end;
}

std::uint64_t encode_bound(std::uint32_t count, std::uint32_t lanes, std::uint32_t parts) {
  // A head's lengths and a part's side length are at most 5 bytes each, as is an escaped value.
  return 1 + std::uint64_t{parts} * (10 + 4 * std::uint64_t{lanes}) + 7 * std::uint64_t{count};
}

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
