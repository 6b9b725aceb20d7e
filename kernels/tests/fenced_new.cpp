// fenced_new.cpp - every block of memory ends, to 15 bytes, where a page begins that nothing may
// touch, and so does the page before it. Linked into a test program it shows what sanitizers do
// not watch: the vector gathers, which end in SIGSEGV beyond their table.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kAlign = 16;

// Lies right before the block.
struct alignas(kAlign) Head {
  void* base;
  std::size_t length;
};

std::size_t round_up(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

}  // namespace

void* operator new(std::size_t size) {
  const std::size_t used = round_up(size, kAlign);
  const std::size_t body = round_up(used + sizeof(Head), kPage);
  const std::size_t length = body + 2 * kPage;
  void* base = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) {
    throw std::bad_alloc();
  }
  std::uint8_t* first = static_cast<std::uint8_t*>(base) + kPage;
  if (mprotect(first, body, PROT_READ | PROT_WRITE) != 0) {
    throw std::bad_alloc();
  }
  std::uint8_t* block = first + body - used;
  new (block - sizeof(Head)) Head{base, length};
  return block;
}

void operator delete(void* block) noexcept {
  if (block != nullptr) {
    const Head head = static_cast<Head*>(block)[-1];
    munmap(head.base, head.length);
  }
}

void operator delete(void* block, std::size_t) noexcept { operator delete(block); }
