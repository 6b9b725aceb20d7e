// launches.h - READ ME FIRST: the CUDA kernels, and how faults come back. See calls.h for what each
// pointer must be.
//
// Each function puts kernels on a stream and returns at once, with what the launches said; it
// neither allocates nor waits, so calls may be captured in a CUDA graph. They run in the context
// that is current, so pointers of PyCUDA, CuPy or cuda-python will do. Nothing is kept after the
// work is done. The calls for context models launch some thousand kernels, and so may wait for room
// among a stream's launches.
//
// Results equal those of the scalar functions of the same names, or of those that calls.h and
// context_calls.h name, bit for bit. The symbols of a faulty stream are 0; other streams of the
// batch are not touched by it.
#pragma once

#include <cuda_runtime_api.h>

#include "latentsr/cuda/calls.h"
#include "latentsr/cuda/context_calls.h"

namespace latentsr::cuda {

cudaError_t decode_lanes(const DecodeCall& call, cudaStream_t stream);
cudaError_t encode_lanes(const EncodeCall& call, cudaStream_t stream);
cudaError_t crc_of_symbols(const CrcCall& call, cudaStream_t stream);
cudaError_t symbols_from_latent(const QuantiseCall& call, cudaStream_t stream);
cudaError_t latent_from_symbols(const RestoreCall& call, cudaStream_t stream);
cudaError_t scale_indexes(const IndexCall& call, cudaStream_t stream);
cudaError_t clear_certain(const ClearCall& call, cudaStream_t stream);
cudaError_t limit_samples(const LimitCall& call, cudaStream_t stream);
cudaError_t convert_samples(const ConvertCall& call, cudaStream_t stream);
cudaError_t picture_from_planes(const PictureCall& call, cudaStream_t stream);
cudaError_t planes_from_picture(const PlaneCall& call, cudaStream_t stream);
cudaError_t decode_context(const ContextDecodeCall& call, cudaStream_t stream);
cudaError_t encode_context(const ContextEncodeCall& call, cudaStream_t stream);

}  // namespace latentsr::cuda
