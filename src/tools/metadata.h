// Edits what a finished .pte says of itself, without another export: constant methods, methods'
// names, tokenizer and chat template. docs/formats/self_description.md.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "pte/program.h"

namespace diptych::tools {

// A program under edit. Weights are never loaded: they stay views of the mapped file until save()
// copies them, piece by piece.
class MetadataEditor {
 public:
  static Result<MetadataEditor> open(const std::string& path);

  const pte::Program& program() const { return program_; }

  // Makes the constant method `name` say `value`, in place of what it said or as a new one:
  //   512  -3      an integer             true  false        a truth
  //   0.5  1e-5    a number (double)      "any text"  word   a text, quoted as in JSON or bare
  //   [1,2]  [[1,96]]                     int64 of that shape; [] has shape [0]
  // InvalidArgument for other values, and when a method of that name computes something.
  Status set(std::string_view name, std::string_view value);

  // Embeds the tokenizer that a path names (card::load_tokenizer()), or drops the one in the file
  // when the path is empty. Refuses what cannot be opened or does not fit the vocab_size that the
  // file states. Where the file states ids, or none, they become the new tokenizer's.
  Status set_tokenizer(const std::string& path);

  // Embeds a file's text as chat template, or drops the one there when the path is empty.
  Status set_chat_template(const std::string& path);

  // Renames a method, in the Core ML packages that list it too, so that it still runs. NotFound
  // without such a method; InvalidArgument when `to` is taken or no name, and for packages that
  // were renamed since the file was opened.
  Status rename_method(std::string_view from, std::string_view to);

  // Writes the program to `path`, which may be the file itself, atomically.
  Status save(const std::string& path, Progress& progress) const;

 private:
  MetadataEditor() = default;
  std::shared_ptr<const MappedFile> file_;
  pte::Program program_;
};

}  // namespace diptych::tools
