// The pickle machine alone, with opcodes of all protocols.
#include "checkpoint/unpickler.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)checkpoint::unpickle({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  using namespace std::string_view_literals;
  constexpr std::string_view kSeeds[] = {
      "\x80\x02}q\0(X\1\0\0\0wq\1ctorch._utils\n_rebuild_tensor_v2\nq\2(("
      "X\7\0\0\0storageq\3ctorch\n"
      "HalfStorage\nq\4X\1\0\0\0000X\3\0\0\0cpuK\x0ctQK\0K\3K\4\x86K\4K\1\x86\x89"
      "ccollections\nOrderedDict\nq\5)RtRq\6X\1\0\0\0vh\6u."sv,
      "\x80\x04\x95\x36\0\0\0\0\0\0\0\x8c\x0b"
      "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(\x8c\1aG\x3f\xf8\0\0\0\0\0\0\x8c\1bM\1\2u}b."sv,
      "\x80\x02](NK\1J\xff\xff\xff\xff\x8a\2\0\x80\x88\x89)]}\x85NN\x86NNN\x87r\x10\0\0\0j\x10\0\0\0e."sv};
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string_view seed : kSeeds) {
    seeds.emplace_back(as_bytes(seed).begin(), as_bytes(seed).end());
  }
  return seeds;
}
