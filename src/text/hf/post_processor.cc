#include "text/hf/post_processor.h"

#include "base/json.h"
#include "text/hf/component.h"

namespace diptych::text::hf {

namespace {

// Appends the ids that the template calls `name`.
Status add_ids(const Json& json, const std::string& name, std::vector<TokenId>& ids) {
  const Json* specials = TRY(json_member(json, "special_tokens"));
  const Json* special = TRY(within("special_tokens", json_member(*specials, name)));
  const Json* list = TRY(json_member(*special, "ids"));
  if (!list->is_array()) return invalid_data("\"ids\": expected an array");
  for (const Json& id : *list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) {
      return invalid_data("\"ids\": expected token ids, found {}", dump_json(id));
    }
    ids.push_back(id.get<TokenId>());
  }
  return {};
}

Status read_template(const Json& json, PostProcessor& result) {
  const Json* single = TRY(json_member(json, "single"));
  if (!single->is_array()) return invalid_data("\"single\": expected an array");
  bool seen = false;
  for (const Json& part : *single) {
    if (part.is_object() && part.contains("Sequence")) {
      if (seen) return unsupported("\"single\" has the text twice");
      seen = true;
      continue;
    }
    const Json* special = TRY(json_member(part, "SpecialToken"));
    const std::string name = TRY(json_string(*special, "id"));
    TRY(add_ids(json, name, seen ? result.after : result.before));
  }
  if (!seen) return invalid_data("\"single\" has no place for the text");
  return {};
}

}  // namespace

Result<PostProcessor> PostProcessor::read(const Json& json) {
  PostProcessor result;
  if (json.is_null()) return result;
  TRY(for_each_component(json, "processors",
                         [&](const Json& component, std::string_view type) -> Status {
                           if (type == "ByteLevel") return {};  // about offsets only
                           if (type == "TemplateProcessing")
                             return read_template(component, result);
                           return unknown_component("post-processor", type,
                                                    "TemplateProcessing, ByteLevel and Sequence");
                         }));
  return result;
}

}  // namespace diptych::text::hf
