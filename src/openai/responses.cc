#include "openai/responses.h"

#include "base/json.h"
#include "openai/chat.h"
#include "openai/error.h"
#include "openai/messages.h"
#include "openai/options.h"
#include "openai/wire.h"

namespace diptych::openai {

namespace {

Result<answer::Transcript> read_input(Parameters& parameters) {
  answer::Transcript transcript;
  const auto instructions = TRY(parameters.string("instructions"));
  if (instructions) transcript.messages.push_back({answer::Role::System, *instructions});
  const Json& input = *TRY(parameters.need("input"));
  if (input.is_string()) {
    transcript.messages.push_back({answer::Role::User, input.get<std::string>()});
    return transcript;
  }
  if (!input.is_array()) return unexpected_value("input", "a text or a list of messages", input);
  // Items may say that they are messages, and have ids and states of their own.
  Json messages = input;
  for (size_t i = 0; i < messages.size(); ++i) {
    Json& message = messages[i];
    if (!message.is_object()) continue;
    if (message.contains("type") && message["type"] != "message") {
      return unexpected_value(element_name("input", i) + ".type", "\"message\"", message["type"]);
    }
    for (const char* key : {"type", "id", "status"}) message.erase(key);
  }
  const answer::Transcript read = TRY(read_messages(messages, "input"));
  transcript.messages.insert(transcript.messages.end(), read.messages.begin(), read.messages.end());
  return transcript;
}

class ResponseWriter : public ReplyWriter {
 public:
  ResponseWriter(ResponseHead head, Json settings, bool stream)
      : head_(std::move(head)),
        settings_(std::move(settings)),
        stream_(stream),
        item_(new_id("msg_")) {}

  std::string begin() override {
    if (!stream_) return {};
    const Json open = response("in_progress", Json::array());
    std::string text = tell("response.created", {{"response", open}});
    text += tell("response.in_progress", {{"response", open}});
    text +=
        tell("response.output_item.added", {{"output_index", 0}, {"item", item("in_progress")}});
    text += tell("response.content_part.added", at_part({{"part", part("")}}));
    return text;
  }

  std::string add(const serve::Part& piece) override {
    text_ += piece.text;
    if (!stream_ || piece.text.empty()) return {};
    return tell("response.output_text.delta",
                at_part({{"delta", piece.text}, {"logprobs", Json::array()}}));
  }

  std::string end(const std::vector<serve::Outcome>& outcomes) override {
    const serve::Outcome& outcome = outcomes.front();
    const bool whole = finish_reason(outcome) == "stop";
    const char* status = whole ? "completed" : "incomplete";
    Json output = Json::array();
    output.push_back(item(status));
    Json body = response(status, std::move(output));
    if (!whole) body["incomplete_details"] = {{"reason", "max_output_tokens"}};
    body["usage"] = {{"input_tokens", outcome.prompt_tokens},
                     {"input_tokens_details", {{"cached_tokens", outcome.reused_tokens}}},
                     {"output_tokens", outcome.answer_tokens},
                     {"output_tokens_details", {{"reasoning_tokens", 0}}},
                     {"total_tokens", outcome.prompt_tokens + outcome.answer_tokens}};
    if (!stream_) return dump_json(body);
    std::string text =
        tell("response.output_text.done", at_part({{"text", text_}, {"logprobs", Json::array()}}));
    text += tell("response.content_part.done", at_part({{"part", part(text_)}}));
    text += tell("response.output_item.done", {{"output_index", 0}, {"item", item(status)}});
    text += tell(whole ? "response.completed" : "response.incomplete", {{"response", body}});
    return text;
  }

 private:
  // In the order in which they are sent, for each has the next number.
  std::string tell(const char* type, const Json& members) {
    Json json = {{"type", type}, {"sequence_number", events_++}};
    json.update(members);
    return std::string("event: ") + type + "\n" + event(json);
  }
  Json at_part(Json members) const {
    members.update({{"item_id", item_}, {"output_index", 0}, {"content_index", 0}});
    return members;
  }
  static Json part(const std::string& text) {
    return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}};
  }
  Json item(const char* status) const {
    Json content = Json::array();
    if (status != std::string_view("in_progress")) content.push_back(part(text_));
    return {{"id", item_},
            {"type", "message"},
            {"role", "assistant"},
            {"status", status},
            {"content", std::move(content)}};
  }
  Json response(const char* status, Json output) const {
    Json json = {{"id", head_.id},
                 {"object", "response"},
                 {"created_at", head_.created},
                 {"status", status},
                 {"error", nullptr},
                 {"incomplete_details", nullptr},
                 {"model", head_.model},
                 {"output", std::move(output)},
                 {"parallel_tool_calls", true},
                 {"tool_choice", "auto"},
                 {"tools", Json::array()},
                 {"text", {{"format", {{"type", "text"}}}}}};
    json.update(settings_);
    return json;
  }

  ResponseHead head_;
  Json settings_;
  bool stream_;
  std::string item_, text_;
  int64_t events_ = 0;
};

}  // namespace

Result<Exchange> read_response_request(const Json& json, const serve::ServedModel& model) {
  Parameters parameters = TRY(Parameters::of(json, ""));
  parameters.find("model");
  const Options options = TRY(read_options(parameters, model));
  if (options.choices != 1) return wrong_parameter("n", "a response has one text");
  const answer::Transcript transcript = TRY(read_input(parameters));
  const auto most = TRY(parameters.integer("max_output_tokens", 1, INT32_MAX));
  if (const Json* tools = parameters.find("tools"); tools != nullptr && !tools->empty()) {
    return wrong_parameter("tools", "are taken by /v1/chat/completions alone");
  }
  if (const Json* form = parameters.find("text");
      form != nullptr && *form != Json{{"format", {{"type", "text"}}}}) {
    return wrong_parameter("text", "forms are taken by /v1/chat/completions alone");
  }
  if (parameters.find("previous_response_id") != nullptr) {
    return wrong_parameter("previous_response_id", "responses are not kept: send all messages");
  }
  parameters.ignore({"truncation", "include", "parallel_tool_calls", "tool_choice"});
  TRY(parameters.finish());

  const auto prompt = TRY(encode_chat(transcript, Json(), model, "input"));
  Json settings = {
      {"temperature", options.sampling.temperature.value_or(model.opened().sampling().temperature)},
      {"top_p", options.sampling.top_p.value_or(model.opened().sampling().top_p)}};
  settings["max_output_tokens"] = most ? Json(*most) : Json();
  Exchange exchange;
  exchange.stream = options.stream;
  exchange.jobs =
      jobs_of(options, model, prompt, most.value_or(model.opened().max_context()), std::nullopt);
  exchange.writer = std::make_unique<ResponseWriter>(ResponseHead{new_id("resp_"), model.id()},
                                                     std::move(settings), options.stream);
  return exchange;
}

}  // namespace diptych::openai
