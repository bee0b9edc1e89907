#include "exporter/source.h"

#include "base/file.h"
#include "base/json.h"
#include "exporter/adapter.h"

namespace diptych::exporter {

namespace {

constexpr uint64_t kMaxParamsBytes = 1 << 20;

// Meta's params.json says -1 where the size of the vocabulary is the tokenizer's.
Json with_vocabulary(Json config, const checkpoint::Checkpoint& checkpoint) {
  const auto size = config.is_object() ? config.find("vocab_size") : config.end();
  if (size == config.end() || *size != -1) return config;
  if (const WeightRef embedding = checkpoint.find("tok_embeddings.weight")) {
    *size = embedding->rows();
  }
  return config;
}

Result<llama::Description> describe(const checkpoint::Checkpoint& checkpoint) {
  switch (checkpoint.format) {
    case checkpoint::Format::Safetensors:
      return llama::describe_hugging_face(*checkpoint.config);
    case checkpoint::Format::Gguf:
      return llama::describe_gguf(*checkpoint.config, checkpoint.tensors);
    case checkpoint::Format::Torch:
      break;
  }
  llama::Description description;
  description.params =
      TRY(llama::params_from_meta(with_vocabulary(*checkpoint.config, checkpoint)));
  return description;
}

}  // namespace

Result<Model> model_from(const checkpoint::Checkpoint& checkpoint) {
  llama::Description description =
      TRY(within(checkpoint.config_source.empty() ? checkpoint.source : checkpoint.config_source,
                 describe(checkpoint)));
  Model model;
  model.family = description.family;
  model.params = std::move(description.params);
  model.weights = TRY(within(checkpoint.source,
                             llama::collect(model.params, checkpoint.tensors, description.layout)));
  model.tensors = checkpoint.tensors.size();
  model.notes = checkpoint.notes;
  return model;
}

Result<Model> open_model(const std::string& path, const std::string& params,
                         const Options& options) {
  // First, for it is small and often at fault.
  Json given;
  if (!params.empty()) {
    given = TRY(within(params, parse_json(TRY(read_text_file(params, kMaxParamsBytes)))));
  }
  checkpoint::Checkpoint checkpoint = TRY(checkpoint::open(
      path, params.empty() ? checkpoint::Config::Beside : checkpoint::Config::Ignored));
  const bool torch = checkpoint.format == checkpoint::Format::Torch;
  if (!params.empty()) {
    if (!torch) {
      return within<Model>(path, invalid_argument("has a configuration of its own, a params.json "
                                                  "is for Meta's .pth files"));
    }
    checkpoint.config = shared_json(std::move(given));
    checkpoint.config_source = params;
  }
  if (checkpoint.config == nullptr) {
    return within<Model>(
        path, hinted(not_found("there is no {} beside it", torch ? "params.json" : "config.json"),
                     torch ? Advice::NameParams : Advice::None));
  }
  Model model = TRY(model_from(checkpoint));
  model.card = TRY(card::card_of_model(path, checkpoint, model.params.vocab_size, options.card));
  model.notes.insert(model.notes.end(), model.card.notes.begin(), model.card.notes.end());
  TRY(add_adapters(options.adapters, model));
  return model;
}

}  // namespace diptych::exporter
