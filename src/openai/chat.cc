#include "openai/chat.h"

#include "answer/chat_prompt.h"
#include "base/json.h"
#include "openai/error.h"
#include "openai/messages.h"
#include "openai/options.h"
#include "openai/tool_calls.h"
#include "openai/wire.h"

namespace diptych::openai {

namespace {

struct ChatRequest {
  Options options;
  answer::Transcript transcript;
  Json tools;  // null: none
  std::optional<int64_t> max_tokens, logprobs;
};

Status check_has_template(const serve::ServedModel& model) {
  if (model.opened().chat_template() != nullptr) return {};
  return wrong_parameter("model", "{} carries no chat template: it takes /v1/completions alone",
                         model.id());
}

// Which of the tools may be called; tools are null when none may.
Status read_tools(Parameters& parameters, const serve::ServedModel& model, ChatRequest& request) {
  const Json* tools = parameters.find("tools");
  if (tools != nullptr) TRY(check_tools(*tools));
  TRY(parameters.boolean("parallel_tool_calls"));
  const Json* choice = parameters.find("tool_choice");
  if (tools != nullptr && !tools->empty()) request.tools = *tools;
  if (choice == nullptr || *choice == "auto") return {};
  if (*choice == "none") {
    request.tools = nullptr;
    return {};
  }
  std::string named;
  if (*choice != "required") {
    if (!choice->is_object()) {
      return unexpected_value("tool_choice", "\"none\", \"auto\", \"required\" or a function",
                              *choice);
    }
    Parameters chosen = TRY(Parameters::of(*choice, "tool_choice."));
    chosen.ignore({"type"});
    const Json& object = *TRY(chosen.need("function"));
    Parameters function = TRY(Parameters::of(object, "tool_choice.function."));
    TRY(function.need("name"));
    named = *TRY(function.string("name"));
    TRY(function.finish());
    TRY(chosen.finish());
  }
  if (request.tools.is_null()) return wrong_parameter("tool_choice", "there are no tools");
  if (request.options.grammar) {
    return wrong_parameter("tool_choice", "not beside a form of the answer");
  }
  request.options.grammar = TRY(
      grammar_of_calls(request.tools, named, call_form_of(model.opened().card().chat_template)));
  return {};
}

Result<std::string> render(const answer::Transcript& transcript, const Json& tools,
                           const serve::ServedModel& model, std::string_view param) {
  answer::PromptOptions options;
  if (!tools.is_null()) options.tools = dump_json(tools);
  return about_parameter(
      param, answer::chat_prompt(*model.opened().chat_template(), *model.opened().tokenizer(),
                                 transcript, options));
}

Result<ChatRequest> read_request(const Json& json, const serve::ServedModel& model) {
  TRY(check_has_template(model));
  Parameters parameters = TRY(Parameters::of(json, ""));
  parameters.find("model");
  ChatRequest request;
  request.options = TRY(read_options(parameters, model));
  request.transcript = TRY(read_messages(*TRY(parameters.need("messages")), "messages"));
  TRY(read_tools(parameters, model, request));
  const auto newer = TRY(parameters.integer("max_completion_tokens", 1, INT32_MAX));
  const auto older = TRY(parameters.integer("max_tokens", 1, INT32_MAX));
  request.max_tokens = newer ? newer : older;
  const bool logprobs = TRY(parameters.boolean("logprobs")).value_or(false);
  const auto top = TRY(parameters.integer("top_logprobs", 0, kMostLogprobs));
  if (top && !logprobs) return wrong_parameter("top_logprobs", "only with logprobs");
  if (logprobs) request.logprobs = top.value_or(0);
  TRY(parameters.finish());
  return request;
}

class ChatWriter : public ReplyWriter {
 public:
  ChatWriter(ResponseHead head, const text::Tokenizer& tokenizer, const ChatRequest& request,
             CallForm form)
      : head_(std::move(head)),
        tokenizer_(tokenizer),
        stream_(request.options.stream),
        usage_(request.options.include_usage),
        logprobs_(request.logprobs.has_value()),
        choices_(static_cast<size_t>(request.options.choices), Choice(form)) {}

  std::string begin() override {
    std::string events;
    if (!stream_) return events;
    for (size_t i = 0; i < choices_.size(); ++i) {
      events += event(chunk(i, {{"role", "assistant"}, {"content", ""}}, Json()));
    }
    return events;
  }

  std::string add(const serve::Part& part) override {
    Choice& choice = choices_[part.answer];
    choice.text += choice.scanner.add(part.text);
    if (part.logprobs && part.token) {
      choice.logprobs.push_back(chat_logprob(tokenizer_, *part.token, *part.logprobs));
    }
    return stream_ ? events_of(part.answer) : std::string();
  }

  std::string end(const std::vector<serve::Outcome>& outcomes) override {
    std::string events;
    Json choices = Json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      Choice& choice = choices_[i];
      choice.text += choice.scanner.finish();
      if (stream_) events += events_of(i);
      const bool calls = choice.scanner.calls() > 0 && finish_reason(outcomes[i]) == "stop";
      const Json reason = calls ? "tool_calls" : finish_reason(outcomes[i]);
      if (stream_) {
        events += event(chunk(i, Json::object(), reason));
      } else {
        choices.push_back(whole(i, reason));
      }
    }
    if (!stream_) {
      Json body = response("chat.completion", std::move(choices));
      body["usage"] = usage_json(outcomes);
      return dump_json(body);
    }
    if (usage_) {
      Json last = response("chat.completion.chunk", Json::array());
      last["usage"] = usage_json(outcomes);
      events += event(last);
    }
    return events + std::string(kLastEvent);
  }

 private:
  struct Choice {
    explicit Choice(CallForm form) : scanner(form) {}
    CallScanner scanner;
    std::string text;  // of a stream: what is not sent yet
    Json logprobs = Json::array();
    size_t calls_sent = 0;
  };

  Json logprobs_json(Choice& choice) const {
    if (!logprobs_) return {};
    Json content = std::move(choice.logprobs);
    choice.logprobs = Json::array();
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  // What can be sent of a choice.
  std::string events_of(size_t index) {
    Choice& choice = choices_[index];
    std::string events;
    if (!choice.text.empty() || !choice.logprobs.empty()) {
      Json delta = {{"content", std::exchange(choice.text, {})}};
      events += event(chunk(index, std::move(delta), Json()));
    }
    for (const answer::ToolCall& call : choice.scanner.take_calls()) {
      Json calls = Json::array();
      calls.push_back({{"index", choice.calls_sent++}});
      calls.back().update(answer::call_json(call));
      events += event(chunk(index, {{"tool_calls", std::move(calls)}}, Json()));
    }
    return events;
  }

  Json chunk(size_t index, Json delta, const Json& reason) {
    Json choice = {{"index", index}, {"delta", std::move(delta)}};
    choice["logprobs"] = choices_[index].logprobs.empty() ? Json() : logprobs_json(choices_[index]);
    choice["finish_reason"] = reason;
    Json choices = Json::array();
    choices.push_back(std::move(choice));
    return response("chat.completion.chunk", std::move(choices));
  }

  Json whole(size_t index, const Json& reason) {
    Choice& choice = choices_[index];
    Json message = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
    Json calls = Json::array();
    for (const answer::ToolCall& call : choice.scanner.take_calls()) {
      calls.push_back(answer::call_json(call));
    }
    if (!calls.empty()) {
      if (choice.text.empty()) message["content"] = nullptr;
      message["tool_calls"] = std::move(calls);
    }
    return {{"index", index},
            {"message", std::move(message)},
            {"logprobs", logprobs_json(choice)},
            {"finish_reason", reason}};
  }

  Json response(std::string_view object, Json choices) const {
    return {{"id", head_.id},
            {"object", object},
            {"created", head_.created},
            {"model", head_.model},
            {"choices", std::move(choices)}};
  }

  ResponseHead head_;
  const text::Tokenizer& tokenizer_;
  bool stream_, usage_, logprobs_;
  std::vector<Choice> choices_;
};

}  // namespace

Result<std::string> read_prompt_of_chat(const Json& request, const serve::ServedModel& model) {
  TRY(check_has_template(model));
  Parameters parameters = TRY(Parameters::of(request, ""));
  const answer::Transcript transcript =
      TRY(read_messages(*TRY(parameters.need("messages")), "messages"));
  const Json* tools = parameters.find("tools");
  if (tools != nullptr) TRY(check_tools(*tools));
  return render(transcript, tools != nullptr && !tools->empty() ? *tools : Json(), model,
                "messages");
}

Result<std::vector<int64_t>> encode_chat(const answer::Transcript& transcript, const Json& tools,
                                         const serve::ServedModel& model, std::string_view param) {
  TRY(check_has_template(model));
  const std::string text = TRY(render(transcript, tools, model, param));
  // The template writes BOS and the names of special tokens where they belong.
  auto prompt =
      TRY(about_parameter(param, model.opened().encode(text, false, text::Specials::AsTokens)));
  TRY(check_prompt(prompt, model, param));
  return prompt;
}

Result<Exchange> read_chat(const Json& json, const serve::ServedModel& model) {
  const ChatRequest request = TRY(read_request(json, model));
  const auto prompt = TRY(encode_chat(request.transcript, request.tools, model, "messages"));
  const CallForm form =
      request.tools.is_null() ? CallForm::None : call_form_of(model.opened().card().chat_template);
  Exchange exchange;
  exchange.stream = request.options.stream;
  const int64_t most = request.max_tokens.value_or(model.opened().max_context());
  exchange.jobs = jobs_of(request.options, model, prompt, most, request.logprobs);
  exchange.writer = std::make_unique<ChatWriter>(ResponseHead{new_id("chatcmpl-"), model.id()},
                                                 *model.opened().tokenizer(), request, form);
  return exchange;
}

}  // namespace diptych::openai
