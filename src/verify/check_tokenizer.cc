#include <algorithm>

#include "exporter/sample_texts.h"
#include "text/stream_decoder.h"
#include "verify/check.h"

namespace diptych::verify {

namespace {

// A tokenizer with fewer ids than this part of the vocabulary is another model's; vocabularies are
// rounded up by less.
constexpr double kLeastCover = 0.9;
constexpr size_t kTextBytes = 4000;

// Where two texts part, for a message.
std::string first_difference(const std::string& expected, const std::string& found) {
  const auto [e, f] = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end());
  const auto at = static_cast<size_t>(e - expected.begin());
  return fmt::format("at byte {}: expected \"{}\", found \"{}\"", at, expected.substr(at, 20),
                     found.substr(std::min(at, found.size()), 20));
}

}  // namespace

Status check_tokenizer(Subject& subject, Report& report, Progress&) {
  if (subject.tokenizer_error) return tl::unexpected(*subject.tokenizer_error);
  if (subject.tokenizer == nullptr) {
    report.does_not_apply("the file carries no tokenizer");
    return {};
  }
  const text::Tokenizer& tokenizer = *subject.tokenizer;
  if (const contract::Description* model = subject.model()) {
    const auto ids = static_cast<double>(tokenizer.vocab_size());
    const auto vocabulary = static_cast<double>(model->vocab_size);
    if (ids > vocabulary || ids < kLeastCover * vocabulary) {
      report.find("tokenizer", fmt::format("has {} tokens, the model {}: it is another model's",
                                           tokenizer.vocab_size(), model->vocab_size));
    }
  }
  // Line by line, as tokenizers differ in what they do with line ends.
  const std::string sample(exporter::held_out_sample().substr(0, kTextBytes));
  size_t lines = 0;
  for (size_t at = 0; at < sample.size();) {
    const size_t end = std::min(sample.find('\n', at), sample.size());
    const std::string line = sample.substr(at, end - at);
    at = end + 1;
    if (line.empty() || end == sample.size()) continue;
    const auto ids = TRY(tokenizer.encode(line, false));
    const std::string back = text::decode(tokenizer, ids);
    ++lines;
    if (back == line) continue;
    report.find("tokenizer", "a text does not come back, " + first_difference(line, back));
    break;
  }
  if (subject.source && subject.source->card.has_tokenizer()) {
    const auto source = card::open_tokenizer(subject.source->card);
    if (source) {
      const auto both = std::min(tokenizer.vocab_size(), (*source)->vocab_size());
      for (text::TokenId id = 0; id < both; ++id) {
        if (tokenizer.piece(id) == (*source)->piece(id)) continue;
        report.find(fmt::format("tokenizer, id {}", id), "stands for another text in the source");
        break;
      }
    }
  }
  report.note(
      fmt::format("{}, {} tokens, {} lines", tokenizer.kind(), tokenizer.vocab_size(), lines));
  return {};
}

}  // namespace diptych::verify
