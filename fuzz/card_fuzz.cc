// Feeds arbitrary bytes to the reader of what a .pte says of its model: as each piece of named
// data, and as ids. What it accepts must be addable and read the same.

#include <cstdlib>

#include "card/model_card.h"
#include "pte/constant_method.h"
#include "seeds.h"

using namespace diptych;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Bytes text{reinterpret_cast<const std::byte*>(data) + 1, size - 1};
  constexpr std::string_view kKeys[] = {card::kTokenizerConfig, card::kChatTemplate,
                                        card::kGenerationConfig};
  pte::Program program;
  if (data[0] % 4 < 3) {
    pte::set_named_data(program, kKeys[data[0] % 4], pte::Blob::view(text));
    // A tokenizer's rules are kept only with one.
    pte::set_named_data(program, card::kTokenizer, pte::Blob::view(text));
  } else {
    std::vector<std::byte> ids(text.begin(), text.end());
    ids.resize(ids.size() / 8 * 8);
    const TensorType type{DType::Int64, {static_cast<int64_t>(ids.size() / 8)}};
    program.methods.push_back(
        *pte::constant_tensor_method(program, std::string(card::kEosIds), type, std::move(ids)));
  }
  const auto card = card::read_card(program);
  if (!card) return 0;
  pte::Program copy;
  if (!card::add_card(*card, copy)) std::abort();
  const auto again = card::read_card(copy);
  if (!again || again->eos != card->eos || again->chat_template != card->chat_template ||
      again->generation != card->generation ||
      again->tokenizer_rules.add_bos != card->tokenizer_rules.add_bos) {
    std::abort();
  }
  return 0;
}

std::vector<std::vector<std::byte>> fuzz_seeds() {
  using namespace std::string_view_literals;
  std::vector<std::vector<std::byte>> seeds;
  for (const std::string_view seed :
       {"\4{\"add_bos_token\":true,\"bos_token\":{\"content\":\"<s>\"},\"eos_token\":null}"sv,
        "\1{{ messages }}"sv,
        "\2{\"do_sample\":true,\"temperature\":0.6,\"top_k\":40,\"top_p\":0.9}"sv,
        "\3\2\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0"sv}) {
    const Bytes bytes = as_bytes(seed);
    seeds.emplace_back(bytes.begin(), bytes.end());
  }
  return seeds;
}
