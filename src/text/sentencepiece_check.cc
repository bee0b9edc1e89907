#include "text/sentencepiece_check.h"

#include <algorithm>
#include <cmath>
#include <protozero/pbf_reader.hpp>

#include "text/utf8.h"

namespace diptych::text {

namespace {

using Wire = protozero::pbf_wire_type;

// The longest piece accepted. Trainers stop at 16 characters unless told otherwise; from some
// 100 KB on the library overflows the stack.
constexpr size_t kMaxPieceBytes = 1024;

// One field of a message. `number` holds varints and fixed-size values, `payload` anything that has
// a length; the payload lies within the message.
struct Field {
  uint32_t id = 0;
  Wire type = Wire::unknown;
  uint64_t number = 0;
  Bytes payload;

  bool is(uint32_t wanted, Wire wanted_type) const { return id == wanted && type == wanted_type; }
};

// The next field; throws what protozero throws.
Field take_field(protozero::pbf_reader& in) {
  Field field{in.tag(), in.wire_type(), 0, {}};
  switch (field.type) {
    case Wire::varint:
      field.number = in.get_uint64();
      break;
    case Wire::fixed32:
      field.number = in.get_fixed32();
      break;
    case Wire::fixed64:
      field.number = in.get_fixed64();
      break;
    default: {
      const protozero::data_view view = in.get_view();
      field.payload = as_bytes(std::string_view(view.data(), view.size()));
    }
  }
  return field;
}

// Calls `visit(field)` for every field of a message.
template <class Visit>
Status for_each_field(Bytes message, std::string_view what, Visit visit) {
  protozero::pbf_reader in(reinterpret_cast<const char*>(message.data()), message.size());
  for (;;) {
    const size_t start = message.size() - in.length();
    Field field;
    try {
      if (!in.next()) return {};
      field = take_field(in);
    } catch (const protozero::exception&) {
      return invalid_data("{}: no protobuf field at byte {} of the message", what, start);
    }
    TRY(visit(field));
  }
}

enum PieceType : uint64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Whether a piece's name is <0xNN>, in capital digits: which byte it stands for.
bool is_byte_name(std::string_view name) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  return name.size() == 6 && name.starts_with("<0x") && digit(name[3]) && digit(name[4]) &&
         name[5] == '>';
}

// How many pieces there are of what the rest of the model requires.
struct PieceCounts {
  size_t all = 0, unknown = 0, bytes = 0;
};

Status check_piece(Bytes message, PieceCounts& counts, SentencePieceTraits& traits) {
  const std::string what = fmt::format("piece {}", counts.all);
  std::string_view name;
  uint64_t type = kNormal;
  float score = 0;
  TRY(for_each_field(message, what, [&](const Field& field) -> Status {
    if (field.is(1, Wire::length_delimited)) name = as_text(field.payload);
    if (field.is(2, Wire::fixed32)) score = load<float>(&field.number);
    if (field.is(3, Wire::varint)) type = field.number;
    return {};
  }));
  if (name.empty()) return invalid_data("{} is empty", what);
  if (name.size() > kMaxPieceBytes) {
    return invalid_data("{} is {} bytes long, at most {} are expected", what, name.size(),
                        kMaxPieceBytes);
  }
  if (valid_utf8_prefix(name) != name.size()) return invalid_data("{} is not UTF-8", what);
  if (!std::isfinite(score)) return invalid_data("the score of {} is not a number", what);
  if (type < kNormal || type > kByte) {
    return invalid_data("{} is of type {}, expected 1 to 6", what, type);
  }
  if (type == kByte && !is_byte_name(name)) {
    return invalid_data("{} stands for a byte but is not named <0xNN>", what);
  }
  if (type == kUserDefined) traits.user_defined.push_back(static_cast<int32_t>(counts.all));
  traits.longest_piece = std::max(traits.longest_piece, name.size());
  ++counts.all;
  counts.unknown += type == kUnknown;
  counts.bytes += type == kByte;
  return {};
}

// The normaliser's table: u32 size of a double-array trie, its units, then zero-terminated strings
// to which the leaves point. The library follows both without looking at bounds. A unit with bit 31
// is a leaf; the others have in bits 10…30 the distance (XOR) to their 256 children, shifted left
// by 8 more when bit 9 is set, and with bit 8 the first child's lower 31 bits are a place in the
// strings. (github.com/s-yata/darts-clone)
Status check_charsmap(Bytes map) {
  if (map.empty()) return {};
  ByteReader reader(map);
  const auto trie_size = TRY(within("precompiled_charsmap", reader.read<uint32_t>("trie size")));
  const Bytes trie = TRY(within("precompiled_charsmap", reader.take(trie_size, "trie")));
  const uint64_t units = trie_size / 4;
  const Bytes strings = map.subspan(4 + trie_size);
  if (trie_size % 4 != 0 || units == 0 || strings.empty() || strings.back() != std::byte{0}) {
    return invalid_data(
        "precompiled_charsmap: expected a trie of whole units and zero-terminated strings, found "
        "{} + {} bytes",
        trie_size, strings.size());
  }
  const auto unit_at = [&](uint64_t at) { return load<uint32_t>(trie.data() + 4 * at); };
  for (uint64_t at = 0; at < units; ++at) {
    const uint32_t unit = unit_at(at);
    if ((unit >> 31) != 0 && at != 0) continue;  // the root is followed whatever it is
    const uint64_t children = at ^ (static_cast<uint64_t>(unit >> 10) << ((unit & 0x200) >> 6));
    if ((children | 0xFF) < units &&
        ((unit & 0x100) == 0 || (unit_at(children) & 0x7FFFFFFF) < strings.size())) {
      continue;
    }
    return invalid_data("precompiled_charsmap: unit {} of {} points outside", at, units);
  }
  return {};
}

Status check_normalizer(Bytes message, std::string_view what, SentencePieceTraits& traits) {
  return for_each_field(message, what, [&](const Field& field) -> Status {
    if (field.is(2, Wire::length_delimited)) {
      return within(what, check_charsmap(field.payload));
    }
    if (field.type != Wire::varint) return {};
    if (field.id == 3) traits.add_dummy_prefix = field.number != 0;
    if (field.id == 4) traits.remove_extra_whitespaces = field.number != 0;
    return {};
  });
}

Status check_trainer(Bytes message, uint64_t& model_type, bool& byte_fallback) {
  return for_each_field(message, "trainer_spec", [&](const Field& field) -> Status {
    if (field.type != Wire::varint) return {};
    if (field.id == 3) model_type = field.number;
    if (field.id == 35) byte_fallback = field.number != 0;
    return {};
  });
}

}  // namespace

Result<SentencePieceTraits> check_sentencepiece(Bytes model) {
  if (model.size() > INT32_MAX) {
    return invalid_data("a SentencePiece model of {} bytes, at most 2 GiB are possible",
                        model.size());
  }
  SentencePieceTraits traits, ignored;
  PieceCounts counts;
  uint64_t model_type = 1;
  bool byte_fallback = false;
  TRY(for_each_field(model, "SentencePiece model", [&](const Field& field) -> Status {
    if (field.type != Wire::length_delimited) return {};
    switch (field.id) {
      case 1:
        return check_piece(field.payload, counts, traits);
      case 2:
        return check_trainer(field.payload, model_type, byte_fallback);
      case 3:
        return check_normalizer(field.payload, "normalizer_spec", traits);
      case 5:
        return check_normalizer(field.payload, "denormalizer_spec", ignored);
      default:
        return {};
    }
  }));
  if (model_type != 1 && model_type != 2) {
    return unsupported("SentencePiece model type {}: expected 1 (unigram) or 2 (BPE)", model_type);
  }
  traits.is_bpe = model_type == 2;
  if (counts.unknown != 1) {
    return invalid_data("the SentencePiece model has {} unknown-word pieces among {}, expected one",
                        counts.unknown, counts.all);
  }
  if (byte_fallback && counts.bytes != 256) {
    return invalid_data("the SentencePiece model has {} byte pieces, expected 256", counts.bytes);
  }
  return traits;
}

}  // namespace diptych::text
