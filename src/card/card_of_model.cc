#include "card/card_of_model.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "card/chat_template_beside.h"
#include "checkpoint/directory.h"
#include "checkpoint/gguf_reader.h"
#include "checkpoint/safetensors_reader.h"
#include "pte/reader.h"
#include "text/gguf_tokenizer.h"

namespace diptych::card {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProgramMark = "ET12";  // behind the first four bytes
constexpr std::string_view kZipMark = "PK";        // a .pth begins so

Result<text::TokenizerFile> tokenizer_of_gguf(const checkpoint::GgufTokenizer& from) {
  text::GgufTokenizer gguf;
  gguf.model = from.model;
  gguf.pre = from.pre;
  gguf.tokens = from.tokens;
  gguf.scores = from.scores;
  gguf.token_types = from.types;
  gguf.merges = from.merges;
  gguf.bos = from.bos_id;
  gguf.eos = from.eos_id;
  gguf.unknown = from.unknown_id;
  gguf.add_bos = from.add_bos;
  gguf.add_space_prefix = from.add_space_prefix;
  return text::tokenizer_file_from_gguf(gguf);
}

// An id, a list of ids, or nothing; what is no id is passed over.
std::vector<int64_t> ids_in(const Json* config, const char* key) {
  std::vector<int64_t> ids;
  if (config == nullptr || !config->is_object()) return ids;
  const auto found = config->find(key);
  if (found == config->end()) return ids;
  for (const Json& id : found->is_array() ? *found : Json::array({*found})) {
    if (const auto number = json_int(Json{{key, id}}, key)) ids.push_back(*number);
  }
  return ids;
}

// What a generation_config.json says of sampling. It never stands in an export's way.
GenerationDefaults generation_in(const std::string& source, const Json& config,
                                 std::vector<std::string>& notes) {
  if (config.is_null()) return {};
  std::vector<std::string> problems;
  GenerationDefaults defaults = read_generation_defaults(config, problems);
  for (const std::string& problem : problems) {
    notes.push_back(fmt::format("{}: {}; left out", source, problem));
  }
  return defaults;
}

// Puts a template into the card if it is one.
void take_template(ChatTemplateFile file, ModelCard* card) {
  if (file.text.empty()) return;
  if (const Status status = check_chat_template(file.text); !status) {
    card->notes.push_back(fmt::format("{}: {}; left out, so that the file carries no template",
                                      file.source, status.error().to_string()));
    return;
  }
  card->chat_template = std::move(file.text);
}

// The last part of "meta-llama/Llama-2-7b-hf".
std::string name_in(const checkpoint::Checkpoint& checkpoint) {
  const bool gguf = checkpoint.format == checkpoint::Format::Gguf;
  const Json* config = checkpoint.config.get();
  if (config == nullptr || !config->is_object()) return {};
  const auto found = config->find(gguf ? "general.name" : "_name_or_path");
  if (found == config->end() || !found->is_string()) return {};
  const auto name = found->get<std::string>();
  if (!is_valid_utf8(name)) return {};
  return gguf ? name : fs::path(name).filename().string();
}

// The tokenizer of a directory; an empty path is the current one.
Result<text::TokenizerFile> tokenizer_in(const fs::path& directory) {
  return text::load_tokenizer_file(directory.empty() ? "." : directory.string());
}

// The tokenizer that belongs to the model, none if there is none.
Result<std::optional<text::TokenizerFile>> find_tokenizer(const fs::path& directory,
                                                          const checkpoint::Checkpoint& checkpoint,
                                                          const CardOptions& options) {
  if (!options.tokenizer.empty()) return TRY(load_tokenizer(options.tokenizer));
  if (checkpoint.format == checkpoint::Format::Gguf) {
    if (!checkpoint.tokenizer) return std::nullopt;
    text::TokenizerFile file = TRY(tokenizer_of_gguf(*checkpoint.tokenizer));
    file.source = checkpoint.source;
    return file;
  }
  auto file = tokenizer_in(directory);
  if (!file && file.error().code == ErrorCode::NotFound) return std::nullopt;
  return TRY(std::move(file));
}

// The same opened, its file put into the card; null if there is none.
Result<std::unique_ptr<text::Tokenizer>> open_fitting(const fs::path& directory,
                                                      const checkpoint::Checkpoint& checkpoint,
                                                      int64_t vocab_size,
                                                      const CardOptions& options, ModelCard* card) {
  const auto file = TRY(find_tokenizer(directory, checkpoint, options));
  if (!file) return nullptr;
  auto tokenizer = TRY(text::open_tokenizer(*file));
  if (const std::string note = surplus_of(*tokenizer, vocab_size); !note.empty()) {
    card->notes.push_back(fmt::format("{}: {}", file->source, note));
  }
  card->tokenizer = pte::Blob::own(file->bytes);
  card->tokenizer_rules = tokenizer->rules();
  return tokenizer;
}

// Ids that end an answer.
std::vector<int64_t> eos_ids(const checkpoint::Checkpoint& checkpoint, const Json& generation,
                             const text::Tokenizer* tokenizer, int64_t vocab_size) {
  std::vector<int64_t> ids = ids_in(&generation, "eos_token_id");
  if (ids.empty()) ids = ids_in(checkpoint.config.get(), "eos_token_id");
  if (tokenizer != nullptr) {
    ids.insert(ids.end(), tokenizer->stop_ids().begin(), tokenizer->stop_ids().end());
  }
  if (checkpoint.tokenizer && checkpoint.tokenizer->eot_id) {
    ids.push_back(*checkpoint.tokenizer->eot_id);
  }
  // Ids that the model cannot give are padding of configurations.
  std::erase_if(ids, [&](int64_t id) { return id < 0 || id >= vocab_size; });
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace

Result<ModelCard> card_of_model(const std::string& path, const checkpoint::Checkpoint& checkpoint,
                                int64_t vocab_size, const CardOptions& options) {
  const fs::path directory =
      checkpoint::is_directory(path) ? fs::path(path) : fs::path(path).parent_path();
  const bool gguf = checkpoint.format == checkpoint::Format::Gguf;
  ModelCard card;
  card.name = options.name.empty() ? name_in(checkpoint) : options.name;

  std::unique_ptr<text::Tokenizer> tokenizer;
  if (!options.no_tokenizer) {
    auto opened = open_fitting(directory, checkpoint, vocab_size, options, &card);
    if (!opened && options.tokenizer.empty()) {
      opened.error().hint = {Advice::LeaveTokenizer};
    }
    tokenizer = TRY(std::move(opened));
  }
  Json generation;
  if (gguf) {
    if (checkpoint.tokenizer) {
      take_template({checkpoint.source, checkpoint.tokenizer->chat_template}, &card);
    }
  } else {
    constexpr std::string_view kGeneration = "generation_config.json";
    take_template(TRY(chat_template_beside(directory.string(), card.notes)), &card);
    generation = TRY(object_beside(directory.string(), kGeneration, card.notes));
    card.generation = generation_in((directory / kGeneration).string(), generation, card.notes);
  }
  if (tokenizer) {
    const text::TokenId bos = tokenizer->bos();
    if (bos != text::kNoToken && bos < vocab_size) card.bos = bos;
  } else if (const auto ids = ids_in(checkpoint.config.get(), "bos_token_id");
             !ids.empty() && ids[0] >= 0 && ids[0] < vocab_size) {
    card.bos = ids[0];
  }
  card.eos = eos_ids(checkpoint, generation, tokenizer.get(), vocab_size);
  return card;
}

Result<text::TokenizerFile> load_tokenizer(const std::string& path) {
  if (checkpoint::is_directory(path)) {
    auto file = text::load_tokenizer_file(path);
    if (file || file.error().code != ErrorCode::NotFound) return file;
    // A directory of a GGUF file has its tokenizer inside.
    const auto checkpoint = checkpoint::open(path, checkpoint::Config::Ignored);
    if (!checkpoint || !checkpoint->tokenizer) return file;
    return within(path, tokenizer_of_gguf(*checkpoint->tokenizer));
  }
  const auto mapped = TRY(MappedFile::open(path));
  const Bytes bytes = mapped->bytes();
  text::TokenizerFile file;
  if (checkpoint::is_gguf(bytes)) {
    const auto checkpoint = TRY(checkpoint::open_file(path));
    if (!checkpoint.tokenizer) {
      return within<text::TokenizerFile>(path, not_found("the file carries no tokenizer"));
    }
    file = TRY(within(path, tokenizer_of_gguf(*checkpoint.tokenizer)));
  } else if (bytes.size() >= 8 && as_text(bytes.subspan(4, 4)) == kProgramMark) {
    const pte::Program program = TRY(within(path, pte::read(bytes)));
    const ModelCard card = TRY(within(path, read_card(program)));
    if (!card.has_tokenizer()) {
      return within<text::TokenizerFile>(path, not_found("the file carries no tokenizer"));
    }
    file.bytes = as_text(card.tokenizer.bytes());
    file.rules = card.tokenizer_rules;
  } else if (as_text(bytes).starts_with(kZipMark) || checkpoint::is_safetensors(bytes)) {
    return tokenizer_in(fs::path(path).parent_path());
  } else {
    return text::load_tokenizer_file(path);
  }
  file.source = path;
  return file;
}

Result<std::unique_ptr<text::Tokenizer>> open_tokenizer(const std::string& path) {
  return text::open_tokenizer(TRY(load_tokenizer(path)));
}

std::string surplus_of(const text::Tokenizer& tokenizer, int64_t vocab_size) {
  if (tokenizer.vocab_size() <= vocab_size) return {};
  return fmt::format(
      "the tokenizer has {} tokens, the model's vocabulary {}; texts with tokens beyond it are "
      "refused",
      tokenizer.vocab_size(), vocab_size);
}

}  // namespace diptych::card
