// A model ready to answer: the program of a .pte file, and what turns texts into its tokens and
// tokens into answers. `run`, `chat`, `eval` and whoever else talks with a model opens it here.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "card/model_card.h"
#include "engine/numerics.h"
#include "generate/sampler.h"
#include "generate/session.h"
#include "runtime/program.h"
#include "text/tokenizer.h"

namespace diptych::jinja {
class ChatTemplate;
}

namespace diptych::answer {

// Whether a part of the model is opened.
enum class Part : uint8_t {
  Unused,   // not looked at
  IfThere,  // null when the file carries none and no other is named
  Needed,   // NotFound then
};

struct OpenOptions {
  engine::Numerics numerics = engine::Numerics::Fast;
  int threads = 0;  // 0: all CPUs of this process
  Part tokenizer = Part::IfThere;
  std::string tokenizer_path = {};  // in place of the file's own: a path for card::open_tokenizer()
  Part chat_template = Part::IfThere;
  std::string chat_template_path = {};  // in place of the file's own: a file of Jinja
};

class OpenedModel {
 public:
  // Opens the .pte at `path`. Errors name the file that is at fault.
  static Result<OpenedModel> open(const std::string& path, const OpenOptions& options);
  OpenedModel(OpenedModel&&) noexcept;
  OpenedModel& operator=(OpenedModel&&) noexcept;
  ~OpenedModel();

  const std::string& path() const { return path_; }
  const card::ModelCard& card() const { return card_; }
  int64_t vocab_size() const { return vocab_size_; }
  int64_t max_context() const { return max_context_; }  // tokens of prompt and answer together

  // Null where there is none. The tokenizer refuses texts with tokens that the model does not know.
  const text::Tokenizer* tokenizer() const { return tokenizer_.get(); }
  const jinja::ChatTemplate* chat_template() const { return chat_template_.get(); }

  // The tokens that end an answer: those that the file names and those of the tokenizer.
  const std::set<int64_t>& stop_ids() const { return stop_ids_; }
  // How the model's makers want tokens chosen.
  const generate::SamplerOptions& sampling() const { return sampling_; }
  // What who opened the model should know, a line each.
  const std::vector<std::string>& notes() const { return notes_; }

  // The adapters that the file holds beside the model.
  std::vector<std::string> adapters() const;

  // A session with an empty cache, of the model itself or with one of its adapters. Sessions share
  // the program; each is for one thread at a time. Errors name all that is unsupported.
  Result<std::unique_ptr<generate::Session>> new_session(std::string_view adapter = {}) const;

  // The ids of a prompt; there must be a tokenizer. A text that is too long to fit the context
  // fails before it is encoded.
  Result<std::vector<int64_t>> encode(const std::string& text, bool with_bos,
                                      text::Specials specials) const;

 private:
  OpenedModel();
  Status open_tokenizer(const OpenOptions& options);
  Status open_chat_template(const OpenOptions& options);

  std::string path_;
  std::shared_ptr<runtime::Program> program_;
  card::ModelCard card_;
  int64_t vocab_size_ = 0, max_context_ = 0;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<const jinja::ChatTemplate> chat_template_;
  std::set<int64_t> stop_ids_;
  generate::SamplerOptions sampling_;
  std::vector<std::string> notes_;
};

}  // namespace diptych::answer
