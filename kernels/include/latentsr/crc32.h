// crc32.h - the CRC-32 of zlib, Ethernet and PNG, at the speed of memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "latentsr/rans_lanes.h"

namespace latentsr {

// CRC-32 of data[0, size), going on from `start`, the CRC-32 of what came before (0 for nothing).
// `isa` is the widest instruction set to use and must be supported; all give the same value.
std::uint32_t crc32(const std::uint8_t* data, std::size_t size, std::uint32_t start, Isa isa);

}  // namespace latentsr
