#include "openai/tool_calls.h"

#include <fmt/format.h>

#include <utility>

#include "base/json.h"
#include "grammar/json_schema.h"
#include "openai/error.h"
#include "openai/wire.h"

namespace diptych::openai {

namespace {

constexpr std::string_view kOpen = "<tool_call>", kClose = "</tool_call>";
constexpr std::string_view kSpace = " \t\r\n";
// The members of a call's object. Models mix up what forms call the arguments.
constexpr std::string_view kName = "name", kArguments = "arguments", kParameters = "parameters";

// What stands before and behind the arguments of a call.
grammar::Enclosed frame(CallForm form, std::string_view function) {
  grammar::Enclosed frame;
  const bool tags = form != CallForm::Json;
  frame.before =
      fmt::format("{{\"{}\": \"{}\", \"{}\": ", kName, function, tags ? kArguments : kParameters);
  frame.after = "}";
  if (tags) {
    frame.before = fmt::format("{}\n{}", kOpen, frame.before);
    frame.after += fmt::format("\n{}", kClose);
  }
  return frame;
}

// How much of the text's end may be the beginning of white space and `tag`.
size_t may_begin(std::string_view text, std::string_view tag) {
  size_t most = 0;
  for (size_t n = std::min(text.size(), tag.size() - 1); n > 0 && most == 0; --n) {
    if (text.ends_with(tag.substr(0, n))) most = n;
  }
  while (most < text.size() && kSpace.find(text[text.size() - most - 1]) != kSpace.npos) ++most;
  return most;
}

std::string_view trimmed_end(std::string_view text) {
  const size_t last = text.find_last_not_of(kSpace);
  return text.substr(0, last == text.npos ? 0 : last + 1);
}

}  // namespace

CallForm call_form_of(std::string_view chat_template) {
  if (chat_template.find(kOpen) != chat_template.npos) return CallForm::Tags;
  return chat_template.find("tools") != chat_template.npos ? CallForm::Json : CallForm::Tags;
}

Result<std::shared_ptr<const grammar::Automaton>> grammar_of_calls(const Json& tools,
                                                                   std::string_view named,
                                                                   CallForm form) {
  std::vector<grammar::Enclosed> ways;
  for (const Json& tool : tools) {
    const Json& function = tool["function"];
    const std::string name = function["name"].get<std::string>();
    if (!named.empty() && name != named) continue;
    grammar::Enclosed& way = ways.emplace_back(frame(form, name));
    const auto schema = function.find("parameters");
    if (schema == function.end() || schema->is_null()) continue;
    const auto tried = grammar::json_schema(*schema);
    if (tried) {
      way.schema = &*schema;
    } else if (function.contains("strict") && function["strict"] == true) {
      return about_parameter("tools", tried);
    }
  }
  if (ways.empty()) return wrong_parameter("tool_choice", "there is no such function among tools");
  return about_parameter("tools", grammar::one_of_enclosed(ways));
}

bool CallScanner::take_call(std::string_view text) {
  const Result<Json> json = parse_json(text);
  if (!json || !json->is_object()) return false;
  const auto name = json->find(kName);
  if (name == json->end() || !name->is_string()) return false;
  for (const std::string_view key : {kArguments, kParameters}) {
    const auto arguments = json->find(key);
    if (arguments == json->end() || !arguments->is_object()) continue;
    calls_.push_back({new_id("call_"), name->get<std::string>(), dump_json(*arguments)});
    ++count_;
    return true;
  }
  return false;
}

std::string CallScanner::scan_tags() {
  std::string shown;
  for (;;) {
    const std::string_view tag = inside_ ? kClose : kOpen;
    const size_t at = held_.find(tag);
    if (at == held_.npos) break;
    const std::string before = held_.substr(0, at);
    if (!inside_) {
      shown += trimmed_end(before);
    } else if (!take_call(before)) {
      shown += std::string(kOpen) + before + std::string(kClose);
    }
    held_.erase(0, at + tag.size());
    inside_ = !inside_;
  }
  if (!inside_) {
    const size_t keep = may_begin(held_, kOpen);
    shown.append(held_, 0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
  }
  return shown;
}

std::string CallScanner::add(std::string_view piece) {
  if (form_ == CallForm::None) return std::string(piece);
  held_ += piece;
  if (form_ == CallForm::Tags) return scan_tags();
  const size_t first = held_.find_first_not_of(kSpace);
  if (first == held_.npos || held_[first] == '{') return {};
  form_ = CallForm::None;  // it is text
  return std::exchange(held_, {});
}

std::string CallScanner::finish() {
  std::string rest = std::exchange(held_, {});
  if (form_ == CallForm::Json && take_call(rest)) return {};
  if (inside_) {
    // The closing tag was not written, or not all of it.
    if (take_call(std::string_view(rest).substr(0, rest.size() - may_begin(rest, kClose))))
      return {};
    return std::string(kOpen) + rest;
  }
  return count_ > 0 ? std::string(trimmed_end(rest)) : rest;
}

std::vector<answer::ToolCall> CallScanner::take_calls() { return std::exchange(calls_, {}); }

}  // namespace diptych::openai
