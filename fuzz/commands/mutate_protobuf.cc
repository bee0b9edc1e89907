#include <optional>
#include <vector>

#include "hostile.h"
#include "mutate_bytes.h"

namespace diptych::fuzz {

namespace {

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

struct Field {
  uint64_t id = 0;
  uint32_t wire = kVarint;
  uint64_t number = 0;  // of a varint
  std::string payload;  // of the others
};

std::optional<uint64_t> read_varint(std::string_view bytes, size_t& at) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

void write_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

// The fields of a message; nothing when the bytes are none.
std::optional<std::vector<Field>> split(std::string_view bytes) {
  std::vector<Field> fields;
  for (size_t at = 0; at < bytes.size();) {
    const auto tag = read_varint(bytes, at);
    if (!tag || *tag >> 3 == 0) return std::nullopt;
    Field field{*tag >> 3, static_cast<uint32_t>(*tag & 7), 0, {}};
    size_t size = field.wire == kFixed64 ? 8 : field.wire == kFixed32 ? 4 : 0;
    if (field.wire == kVarint || field.wire == kLength) {
      const auto number = read_varint(bytes, at);
      if (!number) return std::nullopt;
      field.number = *number;
      if (field.wire == kLength) size = *number;
    } else if (size == 0) {
      return std::nullopt;
    }
    if (size > bytes.size() - at) return std::nullopt;
    field.payload = bytes.substr(at, size);
    at += size;
    fields.push_back(std::move(field));
  }
  return fields;
}

std::string join(const std::vector<Field>& fields) {
  std::string out;
  for (const Field& field : fields) {
    write_varint(out, field.id << 3 | field.wire);
    if (field.wire == kVarint) write_varint(out, field.number);
    if (field.wire == kLength) write_varint(out, field.payload.size());
    out += field.payload;
  }
  return out;
}

void mutate_value(Field& field, Random& random) {
  if (field.wire == kVarint) {
    field.number = random.one_in(3) ? field.number + random.below(5) - 2 : hostile_integer(random);
  } else if (field.wire == kLength && random.one_in(2)) {
    field.payload = hostile_text(random);
  } else if (field.wire == kLength) {
    mutate_bytes(field.payload, random);
  } else {
    mutate_word(field.payload, random);
  }
}

void mutate_message(std::string& message, Random& random, size_t depth) {
  auto fields = split(message);
  if (!fields || fields->empty() || depth == 40) return mutate_bytes(message, random);
  Field& field = (*fields)[random.below(fields->size())];
  const auto place = fields->begin() + (&field - fields->data());
  if (field.wire == kLength && !random.one_in(4)) {
    const auto inner = split(field.payload);
    if (inner && !inner->empty()) {
      mutate_message(field.payload, random, depth + 1);
      message = join(*fields);
      return;
    }
  }
  switch (random.below(8)) {
    case 0:
      fields->erase(place);
      break;
    case 1: {
      const Field copy = field;
      fields->insert(place, copy);
      break;
    }
    case 2:
      std::swap(field, (*fields)[random.below(fields->size())]);
      break;
    case 3:
      field.id = 1 + random.below(40);
      break;
    case 4: {
      const Field copy = field;
      const size_t count = random.one_in(20) ? 20000 : 1 + random.below(50);
      fields->insert(place, affordable(count, copy.payload.size() + 2), copy);
      break;
    }
    default:
      mutate_value(field, random);
  }
  message = join(*fields);
}

}  // namespace

void mutate_protobuf(std::string& message, Random& random) {
  if (random.one_in(10)) return mutate_bytes(message, random);
  mutate_message(message, random, 0);
}

}  // namespace diptych::fuzz
