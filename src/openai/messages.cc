#include "openai/messages.h"

#include <algorithm>

#include "base/in_quotes.h"
#include "base/json.h"
#include "openai/error.h"
#include "openai/parameters.h"

namespace diptych::openai {

using answer::Message, answer::Role, answer::Transcript;

namespace {

constexpr size_t kMostMessages = 10000, kMostTools = 128, kMostNameBytes = 64;

struct RoleName {
  std::string_view name;
  Role role;
};
constexpr RoleName kRoles[] = {{"system", Role::System},
                               {"developer", Role::System},  // the newer name
                               {"user", Role::User},
                               {"assistant", Role::Assistant},
                               {"tool", Role::Tool}};

Result<Role> read_role(Parameters& message) {
  const Json& role = *TRY(message.need("role"));
  for (const RoleName& row : kRoles) {
    if (role == row.name) return row.role;
  }
  return unexpected_value(message.name("role"),
                          "\"system\", \"developer\", \"user\", \"assistant\" or \"tool\"", role);
}

Result<answer::ToolCall> read_call(const Json& json, const std::string& path) {
  Parameters parameters = TRY(Parameters::of(json, path + "."));
  answer::ToolCall call;
  call.id = TRY(parameters.string("id")).value_or("");
  parameters.ignore({"type", "index"});
  Parameters function = TRY(Parameters::of(*TRY(parameters.need("function")), path + ".function."));
  const Json& name = *TRY(function.need("name"));
  if (!name.is_string()) return unexpected_value(function.name("name"), "a string", name);
  call.name = name.get<std::string>();
  const Json* arguments = function.find("arguments");
  if (arguments != nullptr && arguments->is_object()) {
    call.arguments = dump_json(*arguments);
  } else {
    call.arguments = TRY(function.string("arguments")).value_or("");
  }
  TRY(function.finish());
  TRY(parameters.finish());
  return call;
}

Result<Message> read_message(const Json& json, const std::string& path) {
  Parameters parameters = TRY(Parameters::of(json, path + "."));
  Message message;
  message.role = TRY(read_role(parameters));
  if (message.role == Role::Assistant) {
    if (const Json* calls = parameters.find("tool_calls")) {
      const std::string name = parameters.name("tool_calls");
      if (!calls->is_array()) return unexpected_value(name, "a list", *calls);
      for (const Json& call : *calls) {
        message.calls.push_back(TRY(read_call(call, element_name(name, message.calls.size()))));
      }
    }
    parameters.ignore({"refusal", "audio", "function_call", "annotations", "reasoning_content"});
  }
  if (message.role == Role::Tool) {
    message.call_id = TRY(parameters.string("tool_call_id")).value_or("");
  }
  message.tool = TRY(parameters.string("name")).value_or("");
  if (message.role != Role::Tool) message.tool.clear();  // templates know no names of people
  const Json* content = parameters.find("content");
  if (content != nullptr) {
    message.content = TRY(read_content(*content, parameters.name("content")));
  } else if (message.calls.empty()) {
    TRY(parameters.need("content"));
  }
  TRY(parameters.finish());
  return message;
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

}  // namespace

Result<std::string> read_content(const Json& content, const std::string& param) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return unexpected_value(param, "a text or a list of parts", content);
  std::string text;
  size_t index = 0;
  for (const Json& part : content) {
    const std::string path = element_name(param, index++);
    Parameters parameters = TRY(Parameters::of(part, path + "."));
    const Json& type = *TRY(parameters.need("type"));
    if (type != "text" && type != "input_text" && type != "output_text") {
      return unexpected_value(parameters.name("type"), "\"text\": the model reads nothing else",
                              type);
    }
    const Json& piece = *TRY(parameters.need("text"));
    if (!piece.is_string()) return unexpected_value(parameters.name("text"), "a string", piece);
    text += piece.get<std::string>();
    parameters.ignore({"annotations", "logprobs"});
    TRY(parameters.finish());
  }
  return text;
}

Result<Transcript> read_messages(const Json& messages, std::string_view param) {
  const std::string name(param);
  if (!messages.is_array()) return unexpected_value(name, "a list", messages);
  if (messages.empty()) return wrong_parameter(name, "expected at least one message");
  if (messages.size() > kMostMessages) {
    return wrong_parameter(name, "{} messages, expected at most {}", messages.size(),
                           kMostMessages);
  }
  Transcript transcript;
  for (const Json& message : messages) {
    transcript.messages.push_back(
        TRY(read_message(message, element_name(name, transcript.messages.size()))));
  }
  return transcript;
}

Status check_tools(const Json& tools) {
  if (!tools.is_array()) return unexpected_value("tools", "a list", tools);
  if (tools.size() > kMostTools) {
    return wrong_parameter("tools", "{} functions, expected at most {}", tools.size(), kMostTools);
  }
  size_t index = 0;
  for (const Json& tool : tools) {
    const std::string path = element_name("tools", index++);
    Parameters parameters = TRY(Parameters::of(tool, path + "."));
    const Json& type = *TRY(parameters.need("type"));
    if (type != "function") {
      return unexpected_value(parameters.name("type"), "\"function\"", type);
    }
    Parameters function =
        TRY(Parameters::of(*TRY(parameters.need("function")), path + ".function."));
    const Json& name = *TRY(function.need("name"));
    if (!name.is_string() || !is_name(name.get<std::string>())) {
      return unexpected_value(function.name("name"),
                              "1 to 64 letters, digits, underscores and dashes", name);
    }
    TRY(function.string("description"));
    TRY(function.boolean("strict"));
    const Json* schema = function.find("parameters");
    if (schema != nullptr && !schema->is_object()) {
      return unexpected_value(function.name("parameters"), "an object", *schema);
    }
    TRY(function.finish());
    TRY(parameters.finish());
  }
  return {};
}

}  // namespace diptych::openai
