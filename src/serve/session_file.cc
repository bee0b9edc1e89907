#include "serve/session_file.h"

#include <cstring>

#include "base/file.h"

namespace diptych::serve {

namespace {

constexpr char kMagic[] = "diptykv1";
constexpr uint64_t kMostTokens = uint64_t{1} << 32;

struct Header {
  char magic[8];
  Digest model;
  uint64_t tokens, row_bytes;
};
static_assert(sizeof(Header) == 40);

// Writes on, and digests what it writes.
class DigestSink : public Sink {
 public:
  explicit DigestSink(Sink& to) : to_(to) {}
  Status write(Bytes bytes) override {
    hasher_.add(bytes);
    return to_.write(bytes);
  }
  Digest digest() const { return hasher_.digest(); }

 private:
  Sink& to_;
  Hasher hasher_;
};

Digest digest_of(Bytes bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.digest();
}

}  // namespace

Result<Digest> digest_of_file(const std::string& path) {
  return digest_of(TRY(MappedFile::open(path))->bytes());
}

Status save_session(const std::string& path, const generate::Session& session,
                    const Digest& model) {
  if (!session.can_save()) return unsupported("sessions of models with windows cannot be saved");
  constexpr mode_t kOwnerAlone = 0600;  // it holds what was said
  const auto file = TRY(AtomicFile::create(path, {kOwnerAlone, Use::Edit}));
  DigestSink sink(*file);
  Header header{{}, model, static_cast<uint64_t>(session.saved_tokens()), session.row_bytes()};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  TRY(sink.write(std::as_bytes(std::span(&header, 1))));
  TRY(sink.write(std::as_bytes(session.tokens().first(header.tokens))));
  TRY(session.write_rows(sink));
  const Digest digest = sink.digest();
  TRY(file->write(std::as_bytes(std::span(digest))));
  return file->commit();
}

Status restore_session(const std::string& path, generate::Session& session, const Digest& model) {
  session.rewind(0);
  const auto file = TRY(MappedFile::open(path, Use::Edit));
  const Bytes bytes = file->bytes();
  Header header{};
  if (bytes.size() < sizeof header + sizeof(Digest)) {
    return invalid_data("{}: {} bytes are no saved session", path, bytes.size());
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof header.magic) != 0) {
    return invalid_data("{}: no saved session, or one of another version", path);
  }
  if (header.model != model) return invalid_data("{}: the session is of another model", path);
  const Bytes content = bytes.first(bytes.size() - sizeof(Digest));
  Digest digest;
  std::memcpy(&digest, bytes.data() + content.size(), sizeof digest);
  if (header.row_bytes != session.row_bytes() || header.tokens > kMostTokens ||
      content.size() - sizeof header != header.tokens * (sizeof(int64_t) + header.row_bytes)) {
    return invalid_data("{}: {} bytes for {} tokens of {} bytes", path, bytes.size(), header.tokens,
                        header.row_bytes);
  }
  if (digest != digest_of(content)) return invalid_data("{}: the file is damaged", path);
  std::vector<int64_t> tokens(header.tokens);
  const size_t size = tokens.size() * sizeof(int64_t);
  std::memcpy(tokens.data(), content.data() + sizeof header, size);
  if (tokens.empty()) return {};
  return within(path, session.read_rows(content.subspan(sizeof header + size), tokens));
}

}  // namespace diptych::serve
