// diptych metadata: shows and edits what a .pte says of itself.

#include "tools/metadata.h"

#include <fmt/format.h>

#include "base/json.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "tools/inspect.h"
#include "tools/inspect_json.h"

namespace diptych::cli {

namespace {

struct MetadataArguments {
  Parser *show = nullptr, *set = nullptr, *rename = nullptr;
  std::string model, output, tokenizer, chat_template, from, to;
  std::vector<std::string> values;
  bool json = false;
  bool has_tokenizer = false, has_template = false;
};

std::string tables(const tools::Inspection& inspection) {
  Table methods({"method", "inputs", "outputs"});
  for (const tools::MethodSummary& method : inspection.methods) {
    methods.add({method.name, fmt::format("{}", method.inputs.size()),
                 fmt::format("{}", method.outputs.size())});
  }
  Table metadata({"metadata", "type", "value"});
  for (const tools::Metadata& entry : inspection.metadata) {
    metadata.add({entry.name, entry.type.text(), entry.value ? dump_json(*entry.value) : ""});
  }
  Table named_data({"named data", "bytes"});
  for (const auto& entry : inspection.named_data) {
    named_data.add({entry.key, fmt::format("{}", entry.bytes)});
  }
  std::string out;
  for (const Table* table : {&methods, &metadata, &named_data}) {
    if (table->empty()) continue;
    if (!out.empty()) out += "\n";
    out += table->text();
  }
  return out;
}

Status show(const MetadataArguments& a) {
  const tools::Inspection inspection = TRY(tools::inspect(a.model));
  if (!a.json) return write_results(tables(inspection));
  const Json all = tools::to_json(inspection);
  Json methods = Json::array();
  for (const tools::MethodSummary& method : inspection.methods) methods.push_back(method.name);
  const Json json = {{"methods", std::move(methods)},
                     {"metadata", all["metadata"]},
                     {"named_data", all["file"]["named_data"]}};
  return write_results(dump_json(json, 2) + "\n");
}

Status set(const MetadataArguments& a, tools::MetadataEditor& editor) {
  if (a.values.empty() && !a.has_tokenizer && !a.has_template) {
    return usage_error("nothing to set: give NAME=VALUE, --tokenizer or --chat-template");
  }
  // First the tokenizer, whose ids a value may correct.
  if (a.has_tokenizer) TRY(editor.set_tokenizer(a.tokenizer));
  if (a.has_template) TRY(editor.set_chat_template(a.chat_template));
  for (const std::string& value : a.values) {
    const size_t equals = value.find('=');
    if (equals == value.npos) {
      return usage_error(fmt::format("expected NAME=VALUE, found \"{}\"", value));
    }
    TRY(editor.set(value.substr(0, equals), std::string_view(value).substr(equals + 1)));
  }
  return {};
}

Status run_metadata(const MetadataArguments& a) {
  if (a.show->parsed()) return show(a);
  stop_on_interrupt();
  tools::MetadataEditor editor = TRY(tools::MetadataEditor::open(a.model));
  TRY(within(a.model, a.set->parsed() ? set(a, editor) : editor.rename_method(a.from, a.to)));
  ProgressBar progress;
  const std::string& output = a.output.empty() ? a.model : a.output;
  TRY(editor.save(output, progress));
  return write_results(output + "\n");
}

}  // namespace

Action setup_metadata(Parser& parser) {
  auto arguments = std::make_shared<MetadataArguments>();
  MetadataArguments& a = *arguments;
  const auto add = [&](const char* name, const char* summary) {
    Parser* command = parser.add_command(name, summary);
    command->add_option("model", a.model, "The .pte")->required();
    return command;
  };
  a.show = add("show", "Show methods, metadata values and named data");
  a.show->add_flag("--json", a.json, "Print an object: methods, metadata, named_data");

  a.set = add("set", "Set metadata values, or embed a tokenizer or chat template");
  a.set->add_option("values", a.values,
                    "NAME=VALUE: an integer, a number, true, false, a text, or a list of integers\n"
                    "such as [1,2]; replaces the constant method NAME or adds it");
  auto* tokenizer = a.set->add_option(
      "--tokenizer", a.tokenizer, std::string(kTokenizerHelp) + "; \"\" takes the present one out");
  auto* chat_template = a.set->add_option("--chat_template", a.chat_template,
                                          "File of a Jinja template; \"\" takes it out");
  a.rename = add("rename-method", "Rename a method, constant or not; it still runs");
  a.rename->add_option("from", a.from, "The method's name")->required();
  a.rename->add_option("to", a.to, "Its new name")->required();
  for (Parser* command : {a.set, a.rename}) {
    command->add_option("-o,--output", a.output, "The .pte to write (default: in place)");
  }
  return [arguments, tokenizer, chat_template] {
    arguments->has_tokenizer = tokenizer->count() > 0;
    arguments->has_template = chat_template->count() > 0;
    return run_metadata(*arguments);
  };
}

}  // namespace diptych::cli
