#include "base/hash.h"

#include <xxhash.h>

namespace diptych {

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  ~State() { XXH3_freeState(xxh); }
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->xxh); }
Hasher::~Hasher() = default;

void Hasher::add(Bytes bytes) { XXH3_128bits_update(state_->xxh, bytes.data(), bytes.size()); }
void Hasher::add(std::string_view text) {
  add(static_cast<uint64_t>(text.size()));
  add(as_bytes(text));
}
void Hasher::add(uint64_t number) { XXH3_128bits_update(state_->xxh, &number, sizeof number); }

Digest Hasher::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return {hash.low64, hash.high64};
}

std::string uuid_from(const Digest& digest) {
  const uint64_t high = (digest[0] & ~0xF000ull) | 0x4000ull;       // version 4
  const uint64_t low = (digest[1] & ~(3ull << 62)) | (2ull << 62);  // RFC 4122 variant
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF,
                     high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFF);
}

}  // namespace diptych
