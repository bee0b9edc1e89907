#include "mil/text_literal.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "base/half.h"

namespace diptych::mil {
namespace {

constexpr std::string_view kKeywords[] = {"blob",   "func",   "iota", "opset",
                                          "random", "return", "zeros"};

bool is_signed(DType dtype) {
  switch (dtype) {
    case DType::Int4:
    case DType::Int8:
    case DType::Int16:
    case DType::Int32:
    case DType::Int64:
      return true;
    default:
      return false;
  }
}

bool is_eight_bit_float(DType dtype) { return is_float(dtype) && bit_width(dtype) == 8; }

uint64_t low_bits(int width) { return width >= 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1; }

int64_t sign_extend(uint64_t bits, int width) {
  const int unused = 64 - width;
  return static_cast<int64_t>(bits << unused) >> unused;
}

double float_from_bits(DType dtype, uint64_t bits) {
  switch (dtype) {
    case DType::F16:
      return half_to_float(static_cast<uint16_t>(bits));
    case DType::BF16:
      return bfloat16_to_float(static_cast<uint16_t>(bits));
    case DType::F32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    default:
      return std::bit_cast<double>(bits);
  }
}

uint64_t bits_from_float(DType dtype, double value) {
  switch (dtype) {
    case DType::F16:
      return float_to_half(static_cast<float>(value));
    case DType::BF16:
      return float_to_bfloat16(static_cast<float>(value));
    case DType::F32:
      return std::bit_cast<uint32_t>(static_cast<float>(value));
    default:
      return std::bit_cast<uint64_t>(value);
  }
}

std::string print_float(DType dtype, uint64_t bits) {
  const double value = float_from_bits(dtype, bits);
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (!std::isnan(value)) {
    constexpr int kDigitsOfDouble = 17;
    for (int digits = 1; digits <= kDigitsOfDouble; ++digits) {
      std::string text = fmt::format("{:.{}g}", value, digits);
      if (parse_element(dtype, text) == bits) return text;
    }
  }
  if (bits == bits_from_float(dtype, std::numeric_limits<double>::quiet_NaN())) return "nan";
  return fmt::format("{:#x}", bits);
}

// The whole of `text` as a number; nothing may be left over.
template <class T, class... Args>
bool parse_whole(std::string_view text, T* value, Args... args) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *value, args...);
  return error == std::errc{} && end == text.data() + text.size();
}

tl::unexpected<Error> misfit(DType dtype, std::string_view text) {
  return invalid_data("expected a value of {}, found {}", name(dtype), quote(text.substr(0, 40)));
}

Result<uint64_t> parse_raw_bits(DType dtype, std::string_view text) {
  uint64_t bits = 0;
  if (!parse_whole(text.substr(2), &bits, 16) || bits > low_bits(bit_width(dtype))) {
    return misfit(dtype, text);
  }
  return bits;
}

Result<uint64_t> parse_float(DType dtype, std::string_view text) {
  if (text.starts_with("0x")) return parse_raw_bits(dtype, text);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (is_eight_bit_float(dtype)) return misfit(dtype, text);
  if (text == "inf") return bits_from_float(dtype, kInfinity);
  if (text == "-inf") return bits_from_float(dtype, -kInfinity);
  if (text == "nan") return bits_from_float(dtype, std::numeric_limits<double>::quiet_NaN());
  double value = 0;
  if (!parse_whole(text, &value) || !std::isfinite(value)) return misfit(dtype, text);
  const uint64_t bits = bits_from_float(dtype, value);
  if (!std::isfinite(float_from_bits(dtype, bits))) return misfit(dtype, text);
  return bits;
}

Result<uint64_t> parse_signed(DType dtype, std::string_view text) {
  int64_t value = 0;
  const uint64_t mask = low_bits(bit_width(dtype));
  if (!parse_whole(text, &value) ||
      sign_extend(static_cast<uint64_t>(value) & mask, bit_width(dtype)) != value) {
    return misfit(dtype, text);
  }
  return static_cast<uint64_t>(value) & mask;
}

}  // namespace

bool is_keyword(std::string_view word) {
  return std::find(std::begin(kKeywords), std::end(kKeywords), word) != std::end(kKeywords) ||
         dtype_from_name(word).has_value();
}

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), is_name_char);
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c >= ' ' && c <= '~') {
      quoted += c;
    } else {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return quoted + '"';
}

std::string print_element(DType dtype, uint64_t bits) {
  if (dtype == DType::Bool) return bits != 0 ? "true" : "false";
  if (is_eight_bit_float(dtype)) return fmt::format("{:#x}", bits);
  if (is_float(dtype)) return print_float(dtype, bits);
  if (is_signed(dtype)) return fmt::format("{}", sign_extend(bits, bit_width(dtype)));
  return fmt::format("{}", bits);
}

Result<uint64_t> parse_element(DType dtype, std::string_view text) {
  if (dtype == DType::Bool) {
    if (text != "true" && text != "false") return misfit(dtype, text);
    return text == "true" ? 1 : 0;
  }
  if (dtype == DType::String) return misfit(dtype, text);
  if (is_float(dtype)) return parse_float(dtype, text);
  if (is_signed(dtype)) return parse_signed(dtype, text);
  uint64_t value = 0;
  if (!parse_whole(text, &value) || value > low_bits(bit_width(dtype))) return misfit(dtype, text);
  return value;
}

Result<std::vector<uint64_t>> read_elements(const Weight& weight) {
  const auto width = static_cast<size_t>(std::max(8, bit_width(weight.dtype()))) / 8;
  std::vector<std::byte> bytes(weight.elements() * width);
  TRY(weight.read_rows(0, weight.rows(), bytes));
  std::vector<uint64_t> elements(weight.elements());
  for (size_t i = 0; i < elements.size(); ++i) {
    std::memcpy(&elements[i], &bytes[i * width], width);
    elements[i] &= low_bits(bit_width(weight.dtype()));
  }
  return elements;
}

Result<WeightRef> weight_from_elements(TensorType type, const std::vector<uint64_t>& elements) {
  const uint64_t size = TRY(packed_size(type));
  const uint64_t expected = TRY(element_count(type.shape));
  if (elements.size() != expected) {
    return invalid_data("{} has {} elements, found {}", to_string(type), expected, elements.size());
  }
  std::vector<std::byte> packed(size);
  const auto width = static_cast<size_t>(bit_width(type.dtype));
  for (size_t i = 0; i < elements.size(); ++i) {
    if (width >= 8) {
      std::memcpy(&packed[i * width / 8], &elements[i], width / 8);
      continue;
    }
    const size_t bit = i * width;
    const auto shifted = static_cast<unsigned>(elements[i]) << (bit % 8);
    packed[bit / 8] |= std::byte(shifted & 0xFF);
    if (shifted > 0xFF) packed[bit / 8 + 1] |= std::byte(shifted >> 8);
  }
  return memory_weight(std::move(type), std::move(packed));
}

}  // namespace diptych::mil
