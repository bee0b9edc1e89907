#include "server/metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"

namespace diptych::server {

namespace {

using serve::State;

struct Metric {
  const char* name;
  const char* type;
  const char* help;
  double (*value)(const State& state);
};

double busy_slots(const State& state) {
  return static_cast<double>(std::count_if(state.slots.begin(), state.slots.end(),
                                           [](const serve::SlotState& slot) { return slot.busy; }));
}

template <auto member>
double counter(const State& state) {
  return static_cast<double>(state.counters.*member);
}

using serve::Counters;
constexpr Metric kMetrics[] = {
    {"diptych_answers_total", "counter", "Answers that got a slot", counter<&Counters::jobs>},
    {"diptych_answers_cancelled_total", "counter", "Answers whose clients left",
     counter<&Counters::cancelled>},
    {"diptych_answers_failed_total", "counter", "Answers that failed", counter<&Counters::failed>},
    {"diptych_requests_refused_total", "counter", "Requests refused because too many waited",
     counter<&Counters::refused>},
    {"diptych_prompt_tokens_total", "counter", "Tokens of prompts that were evaluated",
     counter<&Counters::prompt_tokens>},
    {"diptych_prompt_tokens_reused_total", "counter", "Tokens of prompts that caches held",
     counter<&Counters::reused_tokens>},
    {"diptych_answer_tokens_total", "counter", "Tokens of answers",
     counter<&Counters::answer_tokens>},
    {"diptych_prompt_seconds_total", "counter", "Time spent on prompts",
     counter<&Counters::prompt_seconds>},
    {"diptych_decoding_seconds_total", "counter", "Time spent on answers",
     counter<&Counters::decoding_seconds>},
    {"diptych_decoding_steps_total", "counter", "Passes over the weights for answers",
     counter<&Counters::steps>},
    {"diptych_slots", "gauge", "Slots",
     [](const State& state) { return static_cast<double>(state.slots.size()); }},
    {"diptych_slots_busy", "gauge", "Slots with an answer in them", busy_slots},
    {"diptych_waiting", "gauge", "Answers that wait for a slot",
     [](const State& state) { return static_cast<double>(state.waiting); }},
};

std::string label_value(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::string metrics_text(const Models& models) {
  std::vector<State> states;
  for (const auto& model : models.all()) states.push_back(model->scheduler().state());
  std::string text;
  for (const Metric& metric : kMetrics) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", metric.name, metric.help, metric.type);
    for (size_t i = 0; i < states.size(); ++i) {
      text += fmt::format("{}{{model=\"{}\"}} {}\n", metric.name,
                          label_value(models.all()[i]->id()), metric.value(states[i]));
    }
  }
  return text;
}

Json slots_json(const serve::ServedModel& model) {
  Json slots = Json::array();
  for (const serve::SlotState& slot : model.scheduler().state().slots) {
    slots.push_back({{"id", slots.size()},
                     {"model", model.id()},
                     {"is_processing", slot.busy},
                     {"cached_tokens", slot.cached_tokens},
                     {"prompt_tokens_left", slot.prompt_left},
                     {"answer_tokens", slot.answer_tokens}});
  }
  return slots;
}

Json model_json(const serve::ServedModel& model) {
  return {{"id", model.id()},
          {"object", "model"},
          {"created", model.opened_at()},
          {"owned_by", "diptych"},
          {"context_length", model.opened().max_context()},
          {"chat", model.opened().chat_template() != nullptr}};
}

Json props_json(const Models& models) {
  Json list = Json::array();
  for (const auto& model : models.all()) {
    const generate::SamplerOptions& sampling = model->opened().sampling();
    Json json = model_json(*model);
    json["vocab_size"] = model->opened().vocab_size();
    json["total_slots"] = model->scheduler().state().slots.size();
    json["slot_bytes"] = model->slot_bytes();
    json["chat_template"] = model->opened().card().chat_template;
    json["sampling"] = {{"temperature", sampling.temperature},
                        {"top_p", sampling.top_p},
                        {"top_k", sampling.top_k},
                        {"min_p", sampling.min_p},
                        {"repetition_penalty", sampling.repetition_penalty}};
    list.push_back(std::move(json));
  }
  return {{"models", std::move(list)}};
}

}  // namespace diptych::server
