// What is mutated, and the commands that read it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models.h"
#include "random.h"

namespace diptych::fuzz {

// A command line of diptych.
struct Command {
  using Words = std::vector<std::string>;

  Words words;                       // the subcommand and what it needs
  std::vector<Words> options;        // harmless ones, each of which may be left out
  std::string input;                 // standard input
  std::vector<std::string> outputs;  // files and directories that it may make or change
  std::string edits;                 // a .pte that may be damaged where the command does not look
  bool prints_text = false;          // standard output holds text of a model or of a file
  bool is_export = false;            // the first output must run
  bool must_succeed = false;         // the files are good
  bool must_fail = false;            // they are, but what is asked for would lose one

  Words line() const {
    Words all = words;
    for (const Words& option : options) all.insert(all.end(), option.begin(), option.end());
    return all;
  }
};

class Kind {
 public:
  virtual ~Kind() = default;
  virtual std::string_view name() const = 0;
  // Valid files in a fresh directory; which ones is drawn.
  virtual Files seed(Random& random) const = 0;
  // Changes one thing.
  virtual void mutate(Files& files, Random& random) const = 0;
  // A command that reads the files, whatever mutate() made of them.
  virtual Command command(const Files& files, Random& random) const = 0;
};

using Kinds = std::vector<std::unique_ptr<const Kind>>;

// Each in a file of its own; `models` must outlive them.
std::unique_ptr<const Kind> safetensors_kind(const Models& models);
std::unique_ptr<const Kind> gguf_kind(const Models& models);
std::unique_ptr<const Kind> config_kind(const Models& models);
std::unique_ptr<const Kind> torch_kind(const Models& models);
std::unique_ptr<const Kind> tokenizer_json_kind(const Models& models);
std::unique_ptr<const Kind> tokenizer_model_kind(const Models& models);
std::unique_ptr<const Kind> template_kind(const Models& models);
std::unique_ptr<const Kind> transcript_kind(const Models& models);
std::unique_ptr<const Kind> pte_kind(const Models& models);
std::unique_ptr<const Kind> delegate_kind(const Models& models);
std::unique_ptr<const Kind> memory_fs_kind(const Models& models);
std::unique_ptr<const Kind> outputs_kind(const Models& models);
std::unique_ptr<const Kind> predict_kind(const Models& models);

}  // namespace diptych::fuzz
