#include "tools/metadata.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/in_quotes.h"
#include "base/json.h"
#include "base/utf8.h"
#include "card/card_of_model.h"
#include "card/chat_template_beside.h"
#include "coreml/delegate.h"
#include "coreml/rename_method.h"
#include "pte/constant_method.h"
#include "pte/reader.h"
#include "pte/writer.h"
#include "runtime/coreml_payload.h"

namespace diptych::tools {

namespace {

constexpr size_t kMostInputAxes = 8;
constexpr size_t kLongestName = 256;

tl::unexpected<Error> no_value(std::string_view text) {
  return invalid_argument(
      "expected an integer, a number, true, false, a text (a word, or in double quotes) or a list "
      "of integers such as [1,2], found {}",
      in_quotes(text));
}

// The shape of nested lists, as far as their first elements say.
Shape shape_of(const Json& list) {
  Shape shape;
  for (const Json* at = &list; at->is_array(); at = &at->front()) {
    shape.push_back(static_cast<int64_t>(at->size()));
    if (at->empty()) break;
  }
  return shape;
}

bool is_int64(const Json& json) {
  return json.is_number_unsigned() ? json.get<uint64_t>() <= INT64_MAX : json.is_number_integer();
}

// Appends the integers of nested lists; false where they are not of that shape.
bool flatten(const Json& list, std::span<const int64_t> shape, std::vector<int64_t>& items) {
  if (!list.is_array() || list.size() != static_cast<size_t>(shape[0])) return false;
  for (const Json& item : list) {
    if (shape.size() > 1) {
      if (!flatten(item, shape.subspan(1), items)) return false;
    } else if (is_int64(item)) {
      items.push_back(item.get<int64_t>());
    } else {
      return false;
    }
  }
  return true;
}

bool is_word(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && is_letter(text[0]) && text != "null" && is_valid_utf8(text) &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; });
}

Result<pte::Method> method_of_list(pte::Program& program, std::string_view name, const Json& list) {
  const Shape shape = shape_of(list);
  std::vector<int64_t> items;
  if (shape.size() > kMostInputAxes || !flatten(list, shape, items))
    return no_value(dump_json(list));
  const Bytes bytes = std::as_bytes(std::span(items));
  return pte::constant_tensor_method(program, std::string(name), {DType::Int64, shape},
                                     {bytes.begin(), bytes.end()});
}

// The constant method that says what `text` spells.
Result<pte::Method> method_of_value(pte::Program& program, std::string_view name,
                                    std::string_view text) {
  const std::string method(name);
  const auto parsed = parse_json(text);
  if (!parsed) {
    if (is_word(text)) return pte::constant_method(method, std::string(text));
    return no_value(text);
  }
  const Json& json = *parsed;
  if (json.is_boolean()) return pte::constant_method(method, json.get<bool>());
  if (json.is_string()) return pte::constant_method(method, json.get<std::string>());
  if (json.is_array()) return method_of_list(program, name, json);
  if (is_int64(json)) return pte::constant_method(method, json.get<int64_t>());
  // An integer that is too large is parsed as a float.
  if (json.is_number_float() && std::isfinite(json.get<double>()) &&
      text.find_first_of(".eE") != text.npos) {
    return pte::constant_method(method, json.get<double>());
  }
  return no_value(text);
}

// What people can type and every runner can look up.
Status check_name(std::string_view name) {
  const bool good =
      !name.empty() && name.size() <= kLongestName &&
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127; });
  if (good) return {};
  return invalid_argument(
      "{} is no name of a method: expected 1 to {} printable ASCII characters "
      "without spaces",
      in_quotes(name), kLongestName);
}

void drop_named_data(pte::Program& program, std::string_view key) {
  std::erase_if(program.named_data, [&](const pte::NamedData& entry) { return entry.key == key; });
}

// Passes bytes on in pieces, and lets go of the mapped file's pages behind them.
class CopySink : public Sink {
 public:
  CopySink(Sink& sink, const MappedFile& file, Progress& progress)
      : sink_(sink), file_(file), progress_(progress) {}
  Status write(Bytes bytes) override {
    constexpr size_t kPiece = 4 << 20;
    while (!bytes.empty()) {
      if (progress_.cancelled()) return fail(ErrorCode::Cancelled, "interrupted");
      const Bytes piece = bytes.first(std::min(kPiece, bytes.size()));
      TRY(sink_.write(piece));
      file_.note_read(piece.size());
      progress_.advance(piece.size());
      bytes = bytes.subspan(piece.size());
    }
    return {};
  }

 private:
  Sink& sink_;
  const MappedFile& file_;
  Progress& progress_;
};

// Renames a method in the packages of its delegates, and in all references to them.
class PackageRenamer {
 public:
  PackageRenamer(pte::Program& program, std::shared_ptr<const void> owner, std::string_view from,
                 std::string_view to)
      : program_(program), owner_(std::move(owner)), from_(from), to_(to) {}

  Status rename(pte::Method& method) {
    for (size_t i = 0; i < method.delegates.size(); ++i) {
      if (method.delegates[i].backend != coreml::kBackendId) continue;
      TRY(within(runtime::partition_place(method, i), rename_payload(method.delegates[i])));
    }
    for (pte::Method& any : program_.methods) {
      for (pte::Delegate& delegate : any.delegates) TRY(follow(delegate));
    }
    return {};
  }

  // Puts the packages under their new keys, where they were.
  void move_packages() {
    for (pte::NamedData& entry : program_.named_data) {
      const auto found = renamed_.find(entry.key);
      if (found == renamed_.end()) continue;
      entry.key = found->second.key;
      entry.data = pte::Blob::produced(found->second.blob);
    }
  }

 private:
  Status rename_payload(pte::Delegate& delegate) {
    const runtime::CoremlPayload payload = TRY(runtime::coreml_payload(program_, delegate));
    if (payload.reference && renamed_.contains(payload.reference->key)) return {};
    if (payload.blob.empty())
      return invalid_argument("renamed once already; save, then open again");
    if (!TRY(coreml::lists_methods(payload.blob))) return {};
    coreml::RenamedBlob renamed = TRY(coreml::rename_method(payload.blob, owner_, from_, to_));
    if (!payload.reference) {
      delegate.processed = pte::Blob::produced(renamed.blob);
      return {};
    }
    renamed_.emplace(payload.reference->key, std::move(renamed));
    return {};
  }

  // Lets a delegate's reference follow its package.
  Status follow(pte::Delegate& delegate) {
    if (!delegate.processed.in_memory() || !coreml::is_reference(delegate.processed.bytes())) {
      return {};
    }
    coreml::Reference reference = TRY(coreml::parse_reference(delegate.processed.bytes()));
    const auto found = renamed_.find(reference.key);
    if (found == renamed_.end()) return {};
    const coreml::RenamedBlob& renamed = found->second;
    if (renamed.renamed_function && reference.function_name == from_) reference.function_name = to_;
    reference.key = renamed.key;
    delegate.processed = pte::Blob::own(coreml::format_reference(reference));
    return {};
  }

  pte::Program& program_;
  std::shared_ptr<const void> owner_;
  std::string from_, to_;
  std::map<std::string, coreml::RenamedBlob> renamed_;  // by the old key
};

}  // namespace

Result<MetadataEditor> MetadataEditor::open(const std::string& path) {
  MetadataEditor editor;
  editor.file_ = TRY(MappedFile::open(path, Use::Edit));
  editor.program_ = TRY(within(path, pte::read(editor.file_->bytes())));
  return editor;
}

Status MetadataEditor::set(std::string_view name, std::string_view value) {
  TRY(check_name(name));
  auto method = TRY(within(name, method_of_value(program_, name, value)));
  return pte::set_constant_method(program_, std::move(method));
}

Status MetadataEditor::set_tokenizer(const std::string& path) {
  if (path.empty()) {
    drop_named_data(program_, card::kTokenizer);
    drop_named_data(program_, card::kTokenizerConfig);
    return {};
  }
  const text::TokenizerFile file = TRY(card::load_tokenizer(path));
  const auto tokenizer = TRY(text::open_tokenizer(file));
  // Ids that the model does not know are none of its ends.
  const int64_t vocab_size = pte::constant_int(program_, "vocab_size").value_or(INT32_MAX);
  card::ModelCard card;
  card.tokenizer = pte::Blob::own(file.bytes);
  card.tokenizer_rules = tokenizer->rules();
  if (tokenizer->bos() != text::kNoToken && tokenizer->bos() < vocab_size) {
    card.bos = tokenizer->bos();
  }
  for (const text::TokenId id : tokenizer->stop_ids()) {
    if (id < vocab_size) card.eos.push_back(id);
  }
  drop_named_data(program_, card::kTokenizerConfig);
  return card::add_card(card, program_);
}

Status MetadataEditor::set_chat_template(const std::string& path) {
  drop_named_data(program_, card::kChatTemplate);
  if (path.empty()) return {};
  card::ModelCard card;
  card.chat_template = TRY(read_text_file(path, card::kMaxTextBytes));
  if (card.chat_template.empty()) return within(path, Status(invalid_data("the file is empty")));
  TRY(within(path, card::check_chat_template(card.chat_template)));
  return card::add_card(card, program_);
}

Status MetadataEditor::rename_method(std::string_view from, std::string_view to) {
  TRY(check_name(to));
  const auto named = [&](std::string_view name) {
    return std::find_if(program_.methods.begin(), program_.methods.end(),
                        [&](const pte::Method& method) { return method.name == name; });
  };
  const auto method = named(from);
  if (method == program_.methods.end()) {
    Error error{ErrorCode::NotFound, {}, {}, {}};
    error.message = fmt::format("no method {}; the file has", in_quotes(from));
    for (const pte::Method& known : program_.methods) error.items.push_back(known.name);
    return tl::unexpected(std::move(error));
  }
  if (named(to) != program_.methods.end()) {
    return invalid_argument("there is a method {} already; rename or set that one", in_quotes(to));
  }
  PackageRenamer renamer(program_, file_, from, to);
  TRY(renamer.rename(*method));
  renamer.move_packages();
  method->name = to;
  return {};
}

Status MetadataEditor::save(const std::string& path, Progress& progress) const {
  const SourceRef source = TRY(pte::write(program_));
  auto file = TRY(AtomicFile::create(path, {.use = Use::Edit}));
  progress.begin("writing", source->size());
  CopySink sink(*file, *file_, progress);
  TRY(source->write_to(sink));
  TRY(file->commit());
  progress.finish();
  return {};
}

}  // namespace diptych::tools
