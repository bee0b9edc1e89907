#include "card/chat_template_beside.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/in_quotes.h"
#include "base/json.h"
#include "base/stand_in.h"
#include "base/utf8.h"
#include "card/model_card.h"
#include "jinja/chat_template.h"

namespace diptych::card {

namespace {

constexpr std::string_view kKey = "chat_template";

std::string joined(const std::string& directory, std::string_view name) {
  return (std::filesystem::path(directory) / name).string();
}

// The text of a file; nothing when there is none or when it is too long, which a note then says.
Result<std::optional<std::string>> text_beside(const std::string& path,
                                               std::vector<std::string>& notes) {
  if (!is_there(path)) return std::nullopt;
  auto text = read_text_file(path, kMaxTextBytes);
  if (text) return std::move(*text);
  if (text.error().code != ErrorCode::InvalidData) return tl::unexpected(std::move(text.error()));
  notes.push_back(text.error().to_string() + "; left out");
  return std::nullopt;
}

// The template under kKey: a text, an object of texts by name, or a list of objects that have a
// "name" and a "template". Empty when there is none.
Result<std::string> template_in(const Json& config) {
  const auto found = config.find(kKey);
  if (found == config.end() || found->is_null()) return std::string();
  if (!found->is_array() && !found->is_object()) return json_string(config, kKey);
  std::vector<std::pair<std::string, std::string>> named;
  if (found->is_object()) {
    for (const auto& [name, text] : found->items()) {
      if (!text.is_string()) return invalid_data("template {}: expected a text", in_quotes(name));
      named.emplace_back(name, text.get<std::string>());
    }
  } else {
    for (const Json& entry : *found) {
      std::string name = TRY(json_string(entry, "name"));
      named.emplace_back(std::move(name), TRY(json_string(entry, "template")));
    }
  }
  if (named.empty()) return std::string();
  const auto chosen = std::find_if(named.begin(), named.end(),
                                   [](const auto& entry) { return entry.first == "default"; });
  if (chosen != named.end()) return std::move(chosen->second);
  if (named.size() == 1) return std::move(named.front().second);
  return invalid_data("{} templates, but none is named \"default\"", named.size());
}

// Line and column of the first byte that is not UTF-8, counted from 1; columns in characters.
std::string place_of_invalid(std::string_view text) {
  size_t line = 1, column = 1;
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<uint8_t>(text[at]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (!is_valid_utf8(text.substr(at, size))) break;
    if (lead == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
    at += size;
  }
  return fmt::format("line {}, column {}", line, column);
}

}  // namespace

Result<Json> object_beside(const std::string& directory, std::string_view name,
                           std::vector<std::string>& notes) {
  const std::string path = joined(directory, name);
  const auto text = TRY(text_beside(path, notes));
  if (!text) return Json();
  const Result<Json> json = parse_json(*text);
  if (json && json->is_object()) return *json;
  notes.push_back(fmt::format("{}: {}; left out", path,
                              json ? "expected an object" : json.error().to_string()));
  return Json();
}

Result<ChatTemplateFile> chat_template_beside(const std::string& directory,
                                              std::vector<std::string>& notes) {
  for (const char* name : {"chat_template.jinja", "additional_chat_templates/default.jinja"}) {
    const std::string path = joined(directory, name);
    auto text = TRY(text_beside(path, notes));
    if (text) return ChatTemplateFile{path, std::move(*text)};
  }
  for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
    const Json config = TRY(object_beside(directory, name, notes));
    if (config.is_null()) continue;
    auto text = template_in(config);
    if (!text) {
      notes.push_back(fmt::format("{}: {}: {}; left out", joined(directory, name), kKey,
                                  text.error().to_string()));
    } else if (!text->empty()) {
      return ChatTemplateFile{joined(directory, name), std::move(*text)};
    }
  }
  return ChatTemplateFile{};
}

Status check_chat_template(std::string_view text) {
  if (!is_valid_utf8(text)) {
    return invalid_data("chat template: {}: a byte that is not UTF-8", place_of_invalid(text));
  }
  TRY(jinja::ChatTemplate::parse(text));
  return {};
}

}  // namespace diptych::card
